import { type ServiceError, status } from "@grpc/grpc-js";
import { type Chat, CreateChatRequest, GetChatRequest } from "../../gen/parley/v1/chat.ts";
import {
  BatchCreateMessagesRequest,
  DeleteMessageRequest,
  ListMessagesRequest,
  type Message,
} from "../../gen/parley/v1/message.ts";
import { type Calls, detailsOf, uuidFrom } from "./calls.ts";
import type { ImportedChat, ImportState } from "./state.ts";
import { type ChatPlan, DELETED_BODY, type Planned } from "./window.ts";

/** Messages of a batch that are deleted at the same time. */
const DELETIONS_IN_WORK_MAX = 16;
const PAGE_SIZE = 1_000;

type ChatAbout = Pick<Chat, "externalId" | "attributes">;

/** Who hears of what is done, and of lines that the server refuses. */
interface Listener {
  bad(line: number, why: string): void;
  done(bytes: number, messages: number): void;
}

/**
 * Sends what a window has, each thing once: its request id follows from the file. A server forgets
 * request ids after a while, so where an interrupted run may have been before, what is there is
 * looked at first.
 */
export class Sender {
  private readonly calls: Calls;
  private readonly state: ImportState;
  private readonly applicationToken: string;
  private readonly listener: Listener;
  /** True as long as an earlier run may have sent some of what is to be sent. */
  resumes: boolean;

  constructor(
    parts: { calls: Calls; state: ImportState; applicationToken: string },
    listener: Listener,
  ) {
    this.calls = parts.calls;
    this.state = parts.state;
    this.applicationToken = parts.applicationToken;
    this.listener = listener;
    this.resumes = parts.state.resumed;
  }

  /** The chat of a plan; undefined where its line was refused and it has no messages. */
  async openChat(plan: ChatPlan): Promise<ImportedChat | undefined> {
    const { name, line, chatLine, batches } = plan;
    const present = this.state.findChat(name);
    if (present !== undefined) return present;
    if (chatLine !== undefined) {
      const { externalId, attributes } = chatLine.source;
      try {
        return await this.createChat(name, line, { externalId, attributes });
      } catch (error) {
        this.listener.bad(chatLine.line, faultsOf(error).join("; "));
      }
      if (batches.length === 0) return undefined;
    }
    return this.createChat(name, line, { externalId: "", attributes: {} });
  }

  private async createChat(name: string, line: number, about: ChatAbout): Promise<ImportedChat> {
    let number = await this.findCreated(about);
    let last = 0;
    if (number === undefined) {
      const { chats } = this.calls;
      const { applicationToken, state } = this;
      const requestId = uuidFrom(state.importId, `chat ${line}`);
      const request = CreateChatRequest.fromPartial({ applicationToken, chat: about, requestId });
      const { chat, existed } = await this.calls.call(chats, chats.createChat, request);
      number = chat!.number;
      // What it had before is not ours.
      if (existed) last = (await this.listMessages(number, { desc: true }))[0]?.number ?? 0;
    }
    const created = { number, last, line };
    this.state.addChat(name, created);
    return created;
  }

  /**
   * The chat that an interrupted run created and did not note, at most one: nobody else creates
   * chats in an application that the import made, and chats are created one after the other.
   */
  private async findCreated(about: ChatAbout) {
    if (!this.resumes || !this.state.ownsApplication) return undefined;
    const { chats } = this.calls;
    const number = this.state.chats.highest + 1;
    const request = GetChatRequest.fromPartial({ applicationToken: this.applicationToken, number });
    try {
      const { chat } = await this.calls.call(chats, chats.getChat, request);
      const same = chat!.externalId === about.externalId;
      return same && sameAttributes(chat!.attributes, about.attributes) ? number : undefined;
    } catch (error) {
      if ((error as ServiceError).code === status.NOT_FOUND) return undefined;
      throw error;
    }
  }

  /** Sends the messages of a plan, batch after batch; returns the number of the last one. */
  async sendMessages(chat: ImportedChat, { batches }: ChatPlan): Promise<number> {
    let { last } = chat;
    for (const batch of batches) {
      // What an interrupted run saw refused is left out now as it was then.
      for (const { line } of batch) {
        const why = this.state.refusals.get(line);
        if (why !== undefined) this.listener.bad(line, why);
      }
      const sent = await this.sendBatch({ ...chat, last }, batch);
      last = sent.last;
      const bytes = batch.reduce((sum, one) => sum + one.bytes, 0);
      this.listener.done(bytes, sent.messages);
    }
    return last;
  }

  private async sendBatch(
    { number: chatNumber, last }: ImportedChat,
    batch: Planned[],
  ): Promise<{ last: number; messages: number }> {
    const { messages } = this.calls;
    const requestId = uuidFrom(this.state.importId, `messages ${batch[0]!.line}`);
    for (;;) {
      const left = batch.filter(({ line }) => !this.state.refusals.has(line));
      if (left.length === 0) return { last, messages: 0 };
      let first = this.resumes ? await this.findSent({ chatNumber, last }, left) : undefined;
      if (first === undefined) {
        const request = BatchCreateMessagesRequest.fromPartial({
          applicationToken: this.applicationToken,
          chatNumber,
          messages: left.map(({ message }) => message),
          requestId,
        });
        try {
          const answer = await this.calls.call(messages, messages.batchCreateMessages, request);
          first = answer.numbers!.firstNumber;
        } catch (error) {
          // Nothing of it was created. It is sent again without the messages that are at fault.
          for (const [at, why] of faultsByMessage(error)) {
            const { line } = left[at]!;
            this.state.refuse(line, why);
            this.listener.bad(line, why);
          }
          continue;
        }
      }
      await this.deleteTombstones(chatNumber, left, first);
      return { last: first + left.length - 1, messages: left.length };
    }
  }

  /** Where a batch begins that an interrupted run sent; its messages lie side by side. */
  private async findSent(
    { chatNumber, last }: { chatNumber: number; last: number },
    batch: Planned[],
  ): Promise<number | undefined> {
    const there = await this.listMessages(chatNumber, { after: last });
    const at = there.findIndex((_, from) =>
      batch.every((one, index) => isSent(one, there[from + index])),
    );
    return there[at]?.number;
  }

  private async deleteTombstones(
    chatNumber: number,
    sent: Planned[],
    first: number,
  ): Promise<void> {
    const { messages } = this.calls;
    const { applicationToken } = this;
    const gone = sent.flatMap(({ source }, at) => (source.body === undefined ? [first + at] : []));
    while (gone.length > 0) {
      const some = gone.splice(0, DELETIONS_IN_WORK_MAX).map(async (number) => {
        const key = { applicationToken, chatNumber, number };
        const request = DeleteMessageRequest.fromPartial(key);
        await this.calls.call(messages, messages.deleteMessage, request);
      });
      await Promise.all(some);
    }
  }

  /** The last message, or all messages after a number. */
  private async listMessages(
    chatNumber: number,
    { desc = false, after = 0 }: { desc?: boolean; after?: number },
  ): Promise<Message[]> {
    const { messages } = this.calls;
    const found: Message[] = [];
    const request = ListMessagesRequest.fromPartial({
      applicationToken: this.applicationToken,
      chatNumber,
      pageSize: desc ? 1 : PAGE_SIZE,
      orderBy: desc ? "number desc" : "",
      afterNumber: after,
    });
    do {
      const answer = await this.calls.call(messages, messages.listMessages, request);
      found.push(...answer.messages);
      request.pageToken = answer.nextPageToken;
    } while (request.pageToken !== "" && !desc);
    return found;
  }
}

/** True where a message is what a line became, or what somebody made of it since. */
function isSent({ source, message }: Planned, there: Message | undefined): boolean {
  if (there === undefined || there.author !== message.author) return false;
  if (there.originalTime?.getTime() !== message.originalTime?.getTime()) return false;
  if (there.deleteTime !== undefined || there.editTime !== undefined) return true;
  const body = source.body ?? DELETED_BODY;
  return there.body === body && sameAttributes(there.attributes, message.attributes);
}

type Attributes = Record<string, string>;

function sameAttributes(one: Attributes, other: Attributes): boolean {
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}

/** What is wrong with the fields of a request; throws what is no fault of theirs. */
function violationsOf(error: unknown): { field: string; description: string }[] {
  const { violations } = detailsOf(error as ServiceError);
  if ((error as ServiceError).code !== status.INVALID_ARGUMENT || violations.length === 0) {
    throw error;
  }
  return violations;
}

/** What is wrong with a line of a chat, in the names of the file. */
function faultsOf(error: unknown): string[] {
  return violationsOf(error).map(({ field, description }) => {
    const name = /^chat\.(.+)$/.exec(field)?.[1];
    if (name === undefined) throw error;
    return `${name}: ${description}`;
  });
}

/** What is wrong with which messages of a batch, from 0, in the names of the file. */
function faultsByMessage(error: unknown): Map<number, string> {
  const faults = new Map<number, string>();
  for (const { field, description } of violationsOf(error)) {
    const [, at, name] = /^messages\[(\d+)\]\.(.+)$/.exec(field) ?? [];
    if (at === undefined) throw error;
    const before = faults.get(Number(at));
    const fault = `${name}: ${description}`;
    faults.set(Number(at), before === undefined ? fault : `${before}; ${fault}`);
  }
  return faults;
}
