import { randomUUID } from "node:crypto";
import {
  type Chat,
  ChatServiceService,
  CreateChatRequest,
  DeleteChatRequest,
  GetChatRequest,
  ListChatsRequest,
  type ListChatsResponse,
} from "../../../gen/parley/v1/chat.ts";
import type { State } from "../../../gen/parley/v1/state.ts";
import type { CallOptions, Calls } from "./calls.ts";
import { Pages } from "./pages.ts";
import { requestOf } from "./requests.ts";

export interface NewChat {
  applicationToken: string;
  /** The caller's own name for it; with one, a chat of this name that is there is the answer. */
  externalId?: string | undefined;
  attributes?: Record<string, string> | undefined;
  requestId?: string | undefined;
  /** Answer only when this state is reached. */
  waitFor?: State | undefined;
}

/** A chat, and whether it was there before. */
export interface CreatedChat extends Chat {
  /** An earlier call with the same request id had created it. */
  replayed: boolean;
  /** There was one of this `externalId`. */
  existed: boolean;
}

export class Chats {
  private readonly calls: Calls;

  constructor(calls: Calls) {
    this.calls = calls;
  }

  async create(
    { applicationToken, externalId, attributes, requestId = randomUUID(), waitFor }: NewChat,
    options?: CallOptions,
  ): Promise<CreatedChat> {
    const request = requestOf(CreateChatRequest, {
      applicationToken,
      chat: { externalId, attributes },
      requestId,
      waitFor,
    });
    const answer = await this.calls.answer(ChatServiceService.createChat, request, options);
    return { ...answer.chat!, replayed: answer.replayed, existed: answer.existed };
  }

  /** By its number, or by the name that its creator gave it. */
  async get(
    wanted: { applicationToken: string } & ({ number: number } | { externalId: string }),
    options?: CallOptions,
  ): Promise<Chat> {
    const request = requestOf(GetChatRequest, wanted);
    return (await this.calls.answer(ChatServiceService.getChat, request, options)).chat!;
  }

  /** By number, lowest first. Options are those of each page's call. */
  list(
    { applicationToken, pageSize }: { applicationToken: string; pageSize?: number | undefined },
    options?: CallOptions,
  ): Pages<Chat, ListChatsResponse> {
    return new Pages(
      (pageToken) => {
        const request = requestOf(ListChatsRequest, { applicationToken, pageSize, pageToken });
        return this.calls.answer(ChatServiceService.listChats, request, options);
      },
      ({ chats }) => chats,
    );
  }

  /** For ever; with `force`, also its messages. */
  async delete(
    wanted: { applicationToken: string; number: number; force?: boolean | undefined },
    options?: CallOptions,
  ): Promise<void> {
    const request = requestOf(DeleteChatRequest, wanted);
    const isDone = ({ reason }: { reason?: string | undefined }) => reason === "NUMBER_VOID";
    await this.calls.unary(ChatServiceService.deleteChat, request, options, isDone);
  }
}
