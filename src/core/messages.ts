import type {
  CreateMessageRequest,
  CreateMessageResponse,
  GetMessageRequest,
  GetMessageResponse,
  ListMessagesRequest,
  ListMessagesResponse,
  Message,
} from "../../gen/parley/v1/message.ts";
import { State } from "../../gen/parley/v1/state.ts";
import { ParleyError } from "../errors.ts";
import { bytesOfAttributes, textOfAttributes } from "./attributes.ts";
import { missingChat, requireChat } from "./chats.ts";
import type { Call, Core } from "./core.ts";
import { findJobs, isReplayDeleted } from "./deletion.ts";
import { densePage, isVoid, type Source } from "./dense.ts";
import {
  digestOf,
  type Job,
  type MessageContent,
  type MessageJob,
  requestIdOf,
  retryOf,
} from "./jobs.ts";
import { decodePageToken, encodePageToken, pageSizeOf } from "./pages.ts";
import type { ChatKey } from "./ports.ts";
import { accepting } from "./trace.ts";
import { waitForState } from "./wait.ts";

export async function createMessage(
  core: Core,
  request: CreateMessageRequest,
  call: Call,
): Promise<CreateMessageResponse> {
  const { applicationToken, chatNumber } = request;
  const said = request.message!;
  const { body, author, attributes, originalTime } = said;
  const key = { applicationToken, chatNumber };
  const requestId = requestIdOf(request);
  const draft = { ...key, ...contentOf(said), createMs: call.nowMs, requestId };
  const retry = retryOf(requestId, () => digestOfMessage(said));
  const given = await accepting({ kind: "message", ...draft } as const, call, (one) =>
    core.numbering.accept(one, retry, call),
  );
  if (given === undefined) throw await missingChat(core, key, call);
  if (given.replayed && (await isReplayDeleted(core, key, given.number))) {
    await requireChat(core, key, call);
    throw numberVoid(given.number);
  }
  const { number, createMs, replayed } = given;
  const range = { firstNumber: number, lastNumber: number };
  const state = await waitForState(request.waitFor, call, {
    persisted: async () => (await core.store.findMessages(key, [number])).length === 1,
    searchable: async () => (await core.index.count(key, range)) === 1,
  });
  const createTime = new Date(createMs);
  const content = { body, author, attributes, originalTime };
  return { message: { ...UNCHANGED, ...key, number, ...content, createTime, state }, replayed };
}

/** What a job takes of a message. */
export function contentOf({ body, author, attributes, originalTime }: Message): MessageContent {
  return { body, author, attributes, originalMs: originalTime?.getTime() };
}

/** Attributes and original time came later, and change nothing where there are none. */
function digestOfMessage({ body, author, attributes, originalTime }: Message): string {
  const text = textOfAttributes(attributes) ?? "";
  if (text === "" && originalTime === undefined) return digestOf(body, author);
  return digestOf(body, author, text, String(originalTime?.getTime() ?? ""));
}

export async function getMessage(
  core: Core,
  request: GetMessageRequest,
  call: Call,
): Promise<GetMessageResponse> {
  const { applicationToken, chatNumber, number } = request;
  const key = { applicationToken, chatNumber };
  const find = async () => (await core.store.findMessages(key, [number], call.signal))[0];
  const row = await find();
  if (row !== undefined) return { message: row };
  const [job] = await findJobs(core, key, [number]);
  if (job !== undefined) return { message: messageOfJob(job.job, job.parked) };
  // Between the two looks the job may have become a row.
  const late = await find();
  if (late !== undefined) return { message: late };
  throw await missingMessage(core, key, number, call);
}

/** The error that says why no message has a number: no chat has it, or it is void or too high. */
export async function missingMessage(
  core: Core,
  key: ChatKey,
  number: number,
  call: Call,
): Promise<ParleyError> {
  await requireChat(core, key, call);
  if (await isVoid(core, key, number)) return numberVoid(number);
  return new ParleyError("MESSAGE_NOT_FOUND", `the chat has no message ${number}`);
}

export async function listMessages(
  core: Core,
  request: ListMessagesRequest,
  call: Call,
): Promise<ListMessagesResponse> {
  const { applicationToken, chatNumber, afterNumber, beforeNumber } = request;
  const key = { applicationToken, chatNumber };
  const order = request.orderBy.trim().toLowerCase().endsWith("desc") ? "desc" : "asc";
  const binding = ["messages", applicationToken, chatNumber, order, afterNumber, beforeNumber];
  const position = decodePageToken(request.pageToken, ...binding);
  const top = beforeNumber === 0 ? Number.POSITIVE_INFINITY : beforeNumber;
  const bounds = {
    after: order === "asc" ? (position ?? afterNumber) : afterNumber,
    before: order === "desc" ? (position ?? top) : top,
    order,
    limit: pageSizeOf(request.pageSize),
  } as const;
  const page = await densePage(core, sourceOf(core, key), bounds, call);
  if (page.items.length === 0) await requireChat(core, key, call);
  const nextPageToken = page.next === undefined ? "" : encodePageToken(page.next, ...binding);
  return { messages: page.items, voids: page.voids, nextPageToken };
}

/** How the numbers of a chat are read. */
export function sourceOf(core: Core, key: ChatKey): Source<Message> {
  return {
    counter: key,
    rows: (page) => core.store.listMessages(key, page),
    fromJob: messageOfJob,
    bytesOf: bytesOfMessage,
  };
}

export function numberVoid(number: number): ParleyError {
  const message = `message number ${number} was skipped or deleted and is not used`;
  return new ParleyError("NUMBER_VOID", message);
}

/** What a message takes in an answer, at the most. */
export function bytesOfMessage(message: Message): number {
  const { body, author, attributes } = message;
  return 150 + Buffer.byteLength(body) + Buffer.byteLength(author) + bytesOfAttributes(attributes);
}

/** What a message has that nobody changed. */
export const UNCHANGED = {
  editTime: undefined,
  deleteTime: undefined,
  attributes: {},
  originalTime: undefined,
  version: 1,
};

function messageOfJob(job: Job, parked: boolean): Message {
  const { applicationToken, chatNumber, number, body, author, createMs, ...more } =
    job as MessageJob;
  const { attributes = {}, originalMs } = more;
  return {
    ...UNCHANGED,
    attributes,
    originalTime: originalMs === undefined ? undefined : new Date(originalMs),
    applicationToken,
    chatNumber,
    number,
    body,
    author,
    createTime: new Date(createMs),
    state: parked ? State.STATE_FAILED : State.STATE_ACCEPTED,
  };
}
