import { type FileHandle, open } from "node:fs/promises";
import { GetApplicationRequest } from "../../gen/parley/v1/application.ts";
import { type Chat, ListChatsRequest } from "../../gen/parley/v1/chat.ts";
import { ListMessagesRequest, type Message } from "../../gen/parley/v1/message.ts";
import { Calls, type Target } from "./calls.ts";

const PAGE_SIZE = 1_000;
/** The last line of a file is looked for in its last bytes; no line of an export is longer. */
const TAIL_BYTES = 1024 * 1024;

export interface ExportOptions extends Target {
  applicationToken: string;
  /** Where the lines go, one page at a time; answers when they are taken. */
  write(lines: string): Promise<void>;
  /** The end of an export that goes on; without it, it begins with the first chat. */
  after?: { chat: number; message: number } | undefined;
  progress?(now: { done: number; total: number; count: number }): void;
}

/**
 * Writes an application as JSON lines, chat after chat in the order of their numbers: a line for
 * the chat, then one for each message. What is written of a chat is a beginning of it that was
 * whole when it was read; what comes later, and chats that come later, may be left out.
 */
export async function exportApplication(
  options: ExportOptions,
): Promise<{ chats: number; messages: number }> {
  const { applicationToken, write, after } = options;
  const calls = new Calls(options);
  const sum = { chats: 0, messages: 0 };
  const { applications } = calls;
  try {
    const about = GetApplicationRequest.fromPartial({ applicationToken });
    const { application } = await calls.call(applications, applications.getApplication, about);
    const total = application!.chatsCount;
    const show = (done: number) =>
      options.progress?.({ done, total: Math.max(total, done), count: sum.messages });
    let passed = 0;
    for await (const chat of chatsOf(calls, applicationToken)) {
      const begun = after?.chat === chat.number;
      if (begun || after === undefined || chat.number > after.chat) {
        if (!begun) await write(`${lineOfChat(chat)}\n`);
        const from = begun ? after.message : 0;
        for await (const messages of pagesOf(calls, chat, from)) {
          await write(messages.map((one) => `${lineOfMessage(one)}\n`).join(""));
          sum.messages += messages.length;
          show(passed);
        }
        sum.chats++;
      }
      show(++passed);
    }
    return sum;
  } finally {
    calls.close();
  }
}

async function* chatsOf(calls: Calls, applicationToken: string): AsyncGenerator<Chat> {
  const { chats } = calls;
  const request = ListChatsRequest.fromPartial({ applicationToken, pageSize: PAGE_SIZE });
  do {
    const answer = await calls.call(chats, chats.listChats, request);
    yield* answer.chats;
    request.pageToken = answer.nextPageToken;
  } while (request.pageToken !== "");
}

async function* pagesOf(calls: Calls, chat: Chat, after: number): AsyncGenerator<Message[]> {
  const { messages } = calls;
  const { applicationToken, number: chatNumber } = chat;
  const key = { applicationToken, chatNumber, afterNumber: after, pageSize: PAGE_SIZE };
  const request = ListMessagesRequest.fromPartial(key);
  do {
    const answer = await calls.call(messages, messages.listMessages, request);
    if (answer.messages.length > 0) yield answer.messages;
    request.pageToken = answer.nextPageToken;
  } while (request.pageToken !== "");
}

/** What is empty is left out, but for the attributes, which tell a chat from a message. */
function lineOfChat({ number, externalId, attributes }: Chat): string {
  return JSON.stringify({
    chat: number,
    external_id: externalId || undefined,
    attributes: sorted(attributes),
  });
}

function lineOfMessage(message: Message): string {
  const { chatNumber, number, author, attributes, deleteTime } = message;
  const deleted = deleteTime !== undefined;
  const has = Object.keys(attributes).length > 0;
  return JSON.stringify({
    chat: chatNumber,
    number,
    author: author || undefined,
    ...(deleted ? { deleted } : { body: message.body }),
    attributes: has ? sorted(attributes) : undefined,
    original_time: (message.originalTime ?? message.createTime)?.toISOString(),
  });
}

/** Maps have no order of their own, and a file should not change where nothing did. */
function sorted(attributes: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Opens the file of an unfinished export to go on with it: cuts off a line that is not whole, and
 * says where it ends. A file that is not there, or empty, is begun.
 */
export async function reopenExport(
  file: string,
): Promise<{ handle: FileHandle; after: ExportOptions["after"] }> {
  const handle = await open(file, "a+");
  try {
    const { size } = await handle.stat();
    const begin = Math.max(0, size - TAIL_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - begin), {
      position: begin,
    });
    const feed = buffer.subarray(0, bytesRead).lastIndexOf(10);
    if (feed < 0 && size > 0 && begin > 0) throw new Error("its last line is too long");
    await handle.truncate(begin + feed + 1);
    if (feed < 0) return { handle, after: undefined };
    const last = buffer.subarray(0, feed).toString().split("\n").at(-1)!;
    const { chat, number = 0 } = JSON.parse(last) as { chat?: unknown; number?: unknown };
    if (!isNumber(chat, 1) || !isNumber(number, 0)) throw new Error("its last line has no numbers");
    return { handle, after: { chat, message: number } };
  } catch (error) {
    await handle.close();
    throw new Error(`${file} is no export to go on with: ${(error as Error).message}`);
  }
}

function isNumber(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least;
}
