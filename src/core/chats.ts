import type {
  Chat,
  CreateChatRequest,
  CreateChatResponse,
  DeleteChatRequest,
  DeleteChatResponse,
  GetChatRequest,
  GetChatResponse,
  ListChatsRequest,
  ListChatsResponse,
} from "../../gen/parley/v1/chat.ts";
import { State } from "../../gen/parley/v1/state.ts";
import { ParleyError } from "../errors.ts";
import { applicationNotFound } from "./applications.ts";
import type { Call, Core } from "./core.ts";
import { deleteWhole, findJobs, isReplayDeleted } from "./deletion.ts";
import { densePage, isVoid, type Source } from "./dense.ts";
import { digestOf, type Job, requestIdOf } from "./jobs.ts";
import { decodePageToken, encodePageToken, pageSizeOf } from "./pages.ts";
import type { ChatKey } from "./ports.ts";
import { waitForState } from "./wait.ts";

export async function createChat(
  core: Core,
  request: CreateChatRequest,
  call: Call,
): Promise<CreateChatResponse> {
  const { applicationToken } = request;
  const requestId = requestIdOf(request);
  const given = await core.numbering.accept(
    { kind: "chat", applicationToken, createMs: call.nowMs, requestId },
    requestId === undefined ? undefined : { id: requestId, digest: digestOf() },
    call.signal,
  );
  if (given === undefined) throw applicationNotFound(applicationToken);
  if (await isReplayDeleted(core, { applicationToken }, given)) {
    throw await numberOfNoChat(core, { applicationToken, chatNumber: given.number }, call);
  }
  const { number, createMs, replayed } = given;
  const chat = chatOf({ applicationToken, number, createMs });
  const key = { applicationToken, chatNumber: number };
  chat.state = await waitForState(request.waitFor, call, {
    persisted: async () => (await core.store.findChat(key)) !== undefined,
    searchable: async () => false,
  });
  return { chat, replayed, existed: false };
}

export async function getChat(
  core: Core,
  request: GetChatRequest,
  call: Call,
): Promise<GetChatResponse> {
  const { applicationToken, number } = request;
  const key = { applicationToken, chatNumber: number };
  const chat = await findChat(core, key, call.signal);
  if (chat !== undefined) return { chat };
  throw await numberOfNoChat(core, key, call);
}

export async function deleteChat(
  core: Core,
  request: DeleteChatRequest,
  call: Call,
): Promise<DeleteChatResponse> {
  const { applicationToken, number, force } = request;
  const key = { applicationToken, chatNumber: number };
  const known = (await findChat(core, key, call.signal)) !== undefined;
  const step = { known, force, now: new Date(call.nowMs) };
  if (await deleteWhole(core, key, step)) {
    core.wakeup.tell([key]);
    return {};
  }
  throw await numberOfNoChat(core, key, call);
}

export async function listChats(
  core: Core,
  request: ListChatsRequest,
  call: Call,
): Promise<ListChatsResponse> {
  const { applicationToken } = request;
  const limit = pageSizeOf(request.pageSize);
  const binding = ["chats", applicationToken];
  const after = decodePageToken(request.pageToken, ...binding) ?? 0;
  const source: Source<Chat> = {
    counter: { applicationToken },
    rows: (page) => core.store.listChats(applicationToken, page),
    fromJob: chatOfJob,
    bytesOf: () => 100,
  };
  const bounds = { after, before: Number.POSITIVE_INFINITY, order: "asc", limit } as const;
  const page = await densePage(core, source, bounds, call);
  if (page.items.length === 0) {
    const application = await core.store.findApplication(applicationToken, call.signal);
    if (application === undefined) throw applicationNotFound(applicationToken);
  }
  const nextPageToken = page.next === undefined ? "" : encodePageToken(page.next, ...binding);
  return { chats: page.items, nextPageToken };
}

/** The error that says why no chat has a number. */
async function numberOfNoChat(core: Core, key: ChatKey, call: Call): Promise<ParleyError> {
  const { applicationToken, chatNumber } = key;
  const application = await core.store.findApplication(applicationToken, call.signal);
  if (application === undefined) return applicationNotFound(applicationToken);
  if (!(await isVoid(core, { applicationToken }, chatNumber))) return chatNotFound(chatNumber);
  const message = `chat number ${chatNumber} was skipped or deleted and is not used`;
  return new ParleyError("NUMBER_VOID", message);
}

/** Throws NOT_FOUND, with the reason that fits, unless the chat exists. */
export async function requireChat(core: Core, key: ChatKey, call: Call): Promise<void> {
  if ((await findChat(core, key, call.signal)) !== undefined) return;
  throw await missingChat(core, key, call);
}

/** The error that says what is missing where a chat is: it, or its application. */
export async function missingChat(core: Core, key: ChatKey, call: Call): Promise<ParleyError> {
  const application = await core.store.findApplication(key.applicationToken, call.signal);
  if (application === undefined) return applicationNotFound(key.applicationToken);
  return chatNotFound(key.chatNumber);
}

/** The row, or else the job that has not become one yet; a job can become a row in between. */
async function findChat(core: Core, key: ChatKey, signal: AbortSignal): Promise<Chat | undefined> {
  const row = await core.store.findChat(key, signal);
  if (row !== undefined) return row;
  const { applicationToken, chatNumber: number } = key;
  const [found] = await findJobs(core, { applicationToken }, [number]);
  if (found !== undefined) return chatOfJob(found.job, found.parked);
  return core.store.findChat(key, signal);
}

function chatOfJob(job: Job, parked: boolean): Chat {
  const chat = chatOf(job);
  if (parked) chat.state = State.STATE_FAILED;
  return chat;
}

function chatOf(job: Pick<Job, "applicationToken" | "number" | "createMs">): Chat {
  return {
    applicationToken: job.applicationToken,
    number: job.number,
    messagesCount: 0,
    deletedCount: 0,
    externalId: "",
    attributes: {},
    countTime: undefined,
    createTime: new Date(job.createMs),
    state: State.STATE_ACCEPTED,
  };
}

function chatNotFound(number: number): ParleyError {
  return new ParleyError("CHAT_NOT_FOUND", `the application has no chat ${number}`);
}
