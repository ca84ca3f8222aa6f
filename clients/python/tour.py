"""The tour of docs/clients.md: PYTHONPATH=gen python tour.py 127.0.0.1:50051"""

import sys

import grpc
from google.rpc import error_details_pb2, status_pb2

from parley.v1 import (
    application_pb2,
    application_pb2_grpc,
    chat_pb2,
    chat_pb2_grpc,
    message_pb2,
    message_pb2_grpc,
    state_pb2,
)

TIMEOUT = 30


def tour(channel):
    applications = application_pb2_grpc.ApplicationServiceStub(channel)
    chats = chat_pb2_grpc.ChatServiceStub(channel)
    messages = message_pb2_grpc.MessageServiceStub(channel)

    request = application_pb2.CreateApplicationRequest(application={"name": "shop"})
    application = applications.CreateApplication(request, timeout=TIMEOUT).application
    print("application", application.name)
    token = application.token

    # Without wait_for the answer comes when the number is given, before the row is written.
    request = chat_pb2.CreateChatRequest(application_token=token, wait_for=state_pb2.STATE_PERSISTED)
    chat = chats.CreateChat(request, timeout=TIMEOUT).chat
    print("chat", chat.number, state_pb2.State.Name(chat.state))
    place = {"application_token": token, "chat_number": chat.number}

    # The same request id makes a retry safe: it gives the first answer.
    request = message_pb2.CreateMessageRequest(
        **place,
        message={"body": "Hello, Straße!", "author": "ann"},
        request_id="8f8ba1a0-6e10-4a7c-9d4b-1f0a4b6f6b0e",
        wait_for=state_pb2.STATE_SEARCHABLE,
    )
    for _ in range(2):
        answer = messages.CreateMessage(request, timeout=TIMEOUT)
        print("message", answer.message.number, str(answer.replayed).lower())

    page = messages.ListMessages(message_pb2.ListMessagesRequest(**place), timeout=TIMEOUT)
    for message in page.messages:
        print("listed", message.number, message.author, message.body)

    request = message_pb2.SearchMessagesRequest(**place, query="strasse")
    for result in messages.SearchMessages(request, timeout=TIMEOUT).results:
        for segment in result.segments:
            if segment.match:
                print("found", segment.text)

    try:
        messages.CreateMessage(message_pb2.CreateMessageRequest(**place, message={}), timeout=TIMEOUT)
    except grpc.RpcError as error:
        explain(error)


def explain(error):
    """What an error says beside its code and message."""
    code, _ = error.code().value
    print("refused with code", code)
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    for detail in status.details:
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            print("reason", info.reason)
        elif detail.Unpack(request):
            for violation in request.field_violations:
                print(violation.field, violation.description)


with grpc.insecure_channel(sys.argv[1]) as channel:
    tour(channel)
