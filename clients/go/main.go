// The tour of docs/clients.md: go run . 127.0.0.1:50051
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	parleyv1 "parley/clients/go/gen/parley/v1"
)

func main() {
	conn, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := tour(ctx, conn); err != nil {
		log.Fatal(err)
	}
}

func tour(ctx context.Context, conn *grpc.ClientConn) error {
	applications := parleyv1.NewApplicationServiceClient(conn)
	chats := parleyv1.NewChatServiceClient(conn)
	messages := parleyv1.NewMessageServiceClient(conn)

	created, err := applications.CreateApplication(ctx, &parleyv1.CreateApplicationRequest{
		Application: &parleyv1.Application{Name: "shop"},
	})
	if err != nil {
		return err
	}
	fmt.Println("application", created.Application.Name)
	token := created.Application.Token

	// Without wait_for the answer comes when the number is given, before the row is written.
	opened, err := chats.CreateChat(ctx, &parleyv1.CreateChatRequest{
		ApplicationToken: token,
		WaitFor:          parleyv1.State_STATE_PERSISTED,
	})
	if err != nil {
		return err
	}
	fmt.Println("chat", opened.Chat.Number, opened.Chat.State)
	chat := opened.Chat.Number

	// The same request id makes a retry safe: it gives the first answer.
	request := &parleyv1.CreateMessageRequest{
		ApplicationToken: token,
		ChatNumber:       chat,
		Message:          &parleyv1.Message{Body: "Hello, Straße!", Author: "ann"},
		RequestId:        "8f8ba1a0-6e10-4a7c-9d4b-1f0a4b6f6b0e",
		WaitFor:          parleyv1.State_STATE_SEARCHABLE,
	}
	for range 2 {
		answer, err := messages.CreateMessage(ctx, request)
		if err != nil {
			return err
		}
		fmt.Println("message", answer.Message.Number, answer.Replayed)
	}

	page, err := messages.ListMessages(ctx, &parleyv1.ListMessagesRequest{
		ApplicationToken: token, ChatNumber: chat,
	})
	if err != nil {
		return err
	}
	for _, one := range page.Messages {
		fmt.Println("listed", one.Number, one.Author, one.Body)
	}

	found, err := messages.SearchMessages(ctx, &parleyv1.SearchMessagesRequest{
		ApplicationToken: token, ChatNumber: chat, Query: "strasse",
	})
	if err != nil {
		return err
	}
	for _, result := range found.Results {
		for _, segment := range result.Segments {
			if segment.Match {
				fmt.Println("found", segment.Text)
			}
		}
	}

	_, err = messages.CreateMessage(ctx, &parleyv1.CreateMessageRequest{
		ApplicationToken: token, ChatNumber: chat, Message: &parleyv1.Message{},
	})
	explain(err)
	return nil
}

// What an error says beside its code and message.
func explain(err error) {
	refusal := status.Convert(err)
	fmt.Println("refused with code", int(refusal.Code()))
	for _, detail := range refusal.Details() {
		switch one := detail.(type) {
		case *errdetails.ErrorInfo:
			fmt.Println("reason", one.Reason)
		case *errdetails.BadRequest:
			for _, violation := range one.FieldViolations {
				fmt.Printf("%s %s\n", violation.Field, violation.Description)
			}
		}
	}
}
