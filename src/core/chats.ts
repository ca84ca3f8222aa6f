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
import { isUnavailable, ParleyError } from "../errors.ts";
import { applicationNotFound } from "./applications.ts";
import { bytesOfAttributes, textOfAttributes } from "./attributes.ts";
import type { Call, Core } from "./core.ts";
import { deleteWhole, findJobs, isReplayDeleted } from "./deletion.ts";
import { densePage, isVoid, type Source } from "./dense.ts";
import type { ExternalName } from "./intake.ts";
import { type ChatJob, digestOf, type Job, jobIdOf, requestIdOf, retryOf } from "./jobs.ts";
import { NAME_ROUNDS_MAX, REPLAY_LOOK_MS } from "./limits.ts";
import type { Given } from "./numbering.ts";
import { decodePageToken, encodePageToken, pageSizeOf } from "./pages.ts";
import type { ChatKey } from "./ports.ts";
import { accepting } from "./trace.ts";
import { waitForState } from "./wait.ts";

export async function createChat(
  core: Core,
  request: CreateChatRequest,
  call: Call,
): Promise<CreateChatResponse> {
  const { applicationToken } = request;
  const { externalId = "", attributes = {} } = request.chat ?? {};
  const requestId = requestIdOf(request);
  const text = textOfAttributes(attributes) ?? "";
  const content = externalId === "" && text === "" ? [] : [externalId, text];
  const retry = retryOf(requestId, () => digestOf(...content));
  const draft = { applicationToken, createMs: call.nowMs, requestId, attributes };
  const given = await accepting({ kind: "chat", ...draft } as const, call, (one) =>
    externalId === ""
      ? core.numbering.accept(one, retry, call)
      : getOrAccept(core, { applicationToken, externalId }, { draft: one, request: retry }, call),
  );
  if (given === undefined) throw applicationNotFound(applicationToken);
  if ("state" in given) {
    if (given.state === State.STATE_ACCEPTED) await waitForChat(core, given, request, call);
    return { chat: given, replayed: false, existed: true };
  }
  if (given.replayed && (await isReplayDeleted(core, { applicationToken }, given.number))) {
    throw await numberOfNoChat(core, { applicationToken, chatNumber: given.number }, call);
  }
  const { number, createMs, replayed } = given;
  const chat = chatOf({ applicationToken, number, createMs, externalId, attributes });
  await waitForChat(core, chat, request, call);
  return { chat, replayed, existed: false };
}

async function waitForChat(
  core: Core,
  chat: Chat,
  { waitFor }: CreateChatRequest,
  call: Call,
): Promise<void> {
  const { applicationToken, number: chatNumber } = chat;
  chat.state = await waitForState(waitFor, call, {
    persisted: async () =>
      (await core.store.findChat({ applicationToken, chatNumber })) !== undefined,
    searchable: async () => false,
  });
}

/**
 * The chat that has the external id, or what a new one was given. The intake may stand for a chat
 * that is no more; then it forgets the name, and the next look goes on.
 */
async function getOrAccept(
  core: Core,
  name: ExternalName,
  step: { draft: Parameters<Core["numbering"]["accept"]>[0]; request: Request },
  call: Call,
): Promise<Chat | Given | undefined> {
  const draft = { ...step.draft, ...name };
  for (let round = 0; round < NAME_ROUNDS_MAX; round++) {
    let row: Chat | undefined;
    const findRow = async () => {
      row = await core.store.findNamedChat(name, call.signal);
      return row?.number;
    };
    const { numbering } = core;
    const given = await numbering.acceptNamed(draft, step.request, call, findRow);
    if (!given?.existed) return given;
    const chat = row ?? (await findExisting(core, name, given.number, call));
    if (chat !== undefined) return chat;
    await core.intake.freeName({ ...name, number: given.number });
  }
  throw new ParleyError("COUNTERS_UNAVAILABLE", "others keep deleting the chat of this name");
}

type Request = Parameters<Core["numbering"]["accept"]>[1];

/** While the database is away the job answers, where there is one, as it does for a replay. */
async function findExisting(
  core: Core,
  name: ExternalName,
  number: number,
  call: Call,
): Promise<Chat | undefined> {
  const late = AbortSignal.timeout(REPLAY_LOOK_MS);
  try {
    return await findNamed(core, name, number, AbortSignal.any([call.signal, late]));
  } catch (error) {
    if (!isUnavailable(error) && !late.aborted) throw error;
    const { applicationToken } = name;
    const [found] = await core.intake.find([jobIdOf({ applicationToken, number })]);
    if (found !== undefined) return chatOfJob(found.job, found.parked);
    if (isUnavailable(error)) throw error;
    throw new ParleyError("STORE_UNAVAILABLE", "the database does not answer", { cause: error });
  }
}

/**
 * The newest chat of a name, be it a row or a job; `number` is the one that the intake knows. That
 * can be an older one than the rows have, where it is an older copy.
 */
async function findNamed(
  core: Core,
  name: ExternalName,
  number: number | undefined,
  signal: AbortSignal,
): Promise<Chat | undefined> {
  const row = await core.store.findNamedChat(name, signal);
  if (number === undefined || (row?.number ?? 0) >= number) return row;
  const { applicationToken } = name;
  return (await findChat(core, { applicationToken, chatNumber: number }, signal)) ?? row;
}

async function getNamed(core: Core, name: ExternalName, call: Call): Promise<Chat> {
  let away: ParleyError | undefined;
  const number = await core.intake.findNamed(name).catch((error: unknown) => {
    // Reads go on from the rows.
    if (!isUnavailable(error)) throw error;
    away = error;
    return undefined;
  });
  const chat = await findNamed(core, name, number, call.signal);
  if (chat !== undefined) return chat;
  if (away !== undefined) throw away;
  const application = await core.store.findApplication(name.applicationToken, call.signal);
  if (application === undefined) throw applicationNotFound(name.applicationToken);
  throw new ParleyError("CHAT_NOT_FOUND", "the application has no chat of this external_id");
}

export async function getChat(
  core: Core,
  request: GetChatRequest,
  call: Call,
): Promise<GetChatResponse> {
  const { applicationToken, number, externalId } = request;
  if (externalId !== "")
    return { chat: await getNamed(core, { applicationToken, externalId }, call) };
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
  const chat = await findChat(core, key, call.signal);
  const step = { known: chat !== undefined, force, now: new Date(call.nowMs) };
  if (await deleteWhole(core, key, step)) {
    core.wakeup.tell([key]);
    const { externalId = "" } = chat ?? {};
    // Whoever meets what is left of it frees it too.
    if (externalId !== "") {
      await core.intake.freeName({ applicationToken, externalId, number }).catch((error) => {
        if (!isUnavailable(error)) throw error;
      });
    }
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
    bytesOf: (chat) =>
      100 + Buffer.byteLength(chat.externalId) + bytesOfAttributes(chat.attributes),
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
  const chat = chatOf(job as ChatJob);
  if (parked) chat.state = State.STATE_FAILED;
  return chat;
}

function chatOf(job: Omit<ChatJob, "kind" | "requestId" | "epoch" | "accept">): Chat {
  return {
    applicationToken: job.applicationToken,
    number: job.number,
    messagesCount: 0,
    deletedCount: 0,
    externalId: job.externalId ?? "",
    attributes: job.attributes ?? {},
    countTime: undefined,
    createTime: new Date(job.createMs),
    state: State.STATE_ACCEPTED,
  };
}

function chatNotFound(number: number): ParleyError {
  return new ParleyError("CHAT_NOT_FOUND", `the application has no chat ${number}`);
}
