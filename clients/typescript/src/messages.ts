import { randomUUID } from "node:crypto";
import {
  BatchCreateMessagesRequest,
  type BatchCreateMessagesResponse,
  CreateMessageRequest,
  DeleteMessageRequest,
  GetMessageRequest,
  ListMessagesRequest,
  type ListMessagesResponse,
  type Message,
  MessageServiceService,
  SearchMessagesRequest,
  type SearchMessagesResponse,
  type SearchMessagesResponse_Result,
  UpdateMessageRequest,
  WatchMessagesRequest,
  type WatchMessagesResponse,
} from "../../../gen/parley/v1/message.ts";
import type { NumberRange, State } from "../../../gen/parley/v1/state.ts";
import type { CallOptions, Calls } from "./calls.ts";
import { type ConsumeOptions, Consumer } from "./consume.ts";
import { Pages } from "./pages.ts";
import { requestOf } from "./requests.ts";

/** Which chat. */
export interface InChat {
  applicationToken: string;
  chatNumber: number;
}

/** What a message says. */
export interface MessageText {
  body: string;
  /** Who wrote it, as the caller names them. */
  author?: string | undefined;
  attributes?: Record<string, string> | undefined;
  /** When it was written where it comes from. */
  originalTime?: Date | undefined;
}

interface Creation {
  requestId?: string | undefined;
  /** Answer only when this state is reached. */
  waitFor?: State | undefined;
}

/** A message, and whether an earlier call with the same request id had created it. */
export interface CreatedMessage extends Message {
  replayed: boolean;
}

export interface CreatedMessages extends BatchCreateMessagesResponse {
  numbers: NumberRange;
}

interface Change {
  number: number;
  /** The version that the message must have. */
  ifVersion?: number | undefined;
}

interface ListOptions {
  pageSize?: number | undefined;
  orderBy?: "number" | "number desc" | undefined;
  /** Only messages with a higher number. */
  afterNumber?: number | undefined;
  /** Only messages with a lower number. */
  beforeNumber?: number | undefined;
}

export class Messages {
  private readonly calls: Calls;

  constructor(calls: Calls) {
    this.calls = calls;
  }

  async create(
    { applicationToken, chatNumber, requestId, waitFor, ...text }: InChat & MessageText & Creation,
    options?: CallOptions,
  ): Promise<CreatedMessage> {
    const request = requestOf(CreateMessageRequest, {
      applicationToken,
      chatNumber,
      message: text,
      requestId: requestId ?? randomUUID(),
      waitFor,
    });
    const method = MessageServiceService.createMessage;
    const { message, replayed } = await this.calls.answer(method, request, options);
    return { ...message!, replayed };
  }

  /** Up to 1,000 messages, all or none of them. */
  async batchCreate(
    batch: InChat & Creation & { messages: MessageText[] },
    options?: CallOptions,
  ): Promise<CreatedMessages> {
    const request = requestOf(BatchCreateMessagesRequest, {
      ...batch,
      requestId: batch.requestId ?? randomUUID(),
    });
    const method = MessageServiceService.batchCreateMessages;
    return (await this.calls.answer(method, request, options)) as CreatedMessages;
  }

  async get(wanted: InChat & { number: number }, options?: CallOptions): Promise<Message> {
    const request = requestOf(GetMessageRequest, wanted);
    return (await this.calls.answer(MessageServiceService.getMessage, request, options)).message!;
  }

  /** By number. Its pages also tell the numbers that are void. Options are those of each page. */
  list(wanted: InChat & ListOptions, options?: CallOptions): Pages<Message, ListMessagesResponse> {
    return new Pages(
      (pageToken) => {
        const request = requestOf(ListMessagesRequest, { ...wanted, pageToken });
        return this.calls.answer(MessageServiceService.listMessages, request, options);
      },
      ({ messages }) => messages,
    );
  }

  /** Newest first, with the parts that match marked. Options are those of each page's call. */
  search(
    wanted: InChat & { query: string; pageSize?: number | undefined },
    options?: CallOptions,
  ): Pages<SearchMessagesResponse_Result & { message: Message }, SearchMessagesResponse> {
    return new Pages(
      (pageToken) => {
        const request = requestOf(SearchMessagesRequest, { ...wanted, pageToken });
        return this.calls.answer(MessageServiceService.searchMessages, request, options);
      },
      ({ results }) => results as (SearchMessagesResponse_Result & { message: Message })[],
    );
  }

  /** Changes what is given; attributes are replaced as a whole. */
  async update(
    { body, attributes, ...wanted }: InChat & Change & Partial<MessageText>,
    options?: CallOptions,
  ): Promise<Message> {
    const fields = Object.entries({ body, attributes }).filter(([, value]) => value !== undefined);
    const request = requestOf(UpdateMessageRequest, {
      ...wanted,
      message: Object.fromEntries(fields),
      updateMask: fields.map(([name]) => name),
    });
    const method = MessageServiceService.updateMessage;
    return (await this.calls.answer(method, request, options)).message!;
  }

  /** Deletes what a message says; the answer is what is left of it. */
  async delete(wanted: InChat & Change, options?: CallOptions): Promise<Message> {
    const request = requestOf(DeleteMessageRequest, wanted);
    const method = MessageServiceService.deleteMessage;
    return (await this.calls.answer(method, request, options)).message!;
  }

  /**
   * One stream of a chat's messages above a number, as the server sends it. It ends with an error
   * where the connection does; `consume` goes on.
   */
  watch(
    wanted: InChat & { afterNumber?: number | undefined; afterChange?: number | undefined },
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<WatchMessagesResponse, void, undefined> {
    const request = requestOf(WatchMessagesRequest, wanted);
    return this.calls.stream(MessageServiceService.watchMessages, request, signal);
  }

  /**
   * Hands on each message of a chat above a number, in order, once, for ever: what is there, then
   * what comes, whatever connections break meanwhile. `onMessage` is awaited before the next one.
   * Resolves when the signal is aborted; rejects where no retry helps, and with what a handler
   * threw.
   */
  consume(options: ConsumeOptions): Promise<void> {
    return new Consumer(this, this.calls, options).run();
  }
}
