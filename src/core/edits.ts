import type {
  DeleteMessageRequest,
  DeleteMessageResponse,
  Message,
  UpdateMessageRequest,
  UpdateMessageResponse,
} from "../../gen/parley/v1/message.ts";
import { State } from "../../gen/parley/v1/state.ts";
import { ParleyError } from "../errors.ts";
import type { Change, Content } from "./changes.ts";
import { requireChat } from "./chats.ts";
import type { Call, Core } from "./core.ts";
import { findJobs } from "./deletion.ts";
import { INDEX_CHANGE_MS } from "./limits.ts";
import { missingMessage } from "./messages.ts";
import type { ChatKey } from "./ports.ts";
import { doInTime, waitForState } from "./wait.ts";

export async function updateMessage(
  core: Core,
  request: UpdateMessageRequest,
  call: Call,
): Promise<UpdateMessageResponse> {
  const { number, ifVersion } = request;
  const key = keyOf(request);
  const { body, attributes } = request.message!;
  const content: Content = {
    ...(covers(request.updateMask, "body") && { body }),
    ...(covers(request.updateMask, "attributes") && { attributes }),
  };
  const step = { ifVersion, now: new Date(call.nowMs) };
  const attempt = () => core.store.updateMessage(key, number, content, step);
  return { message: await changeMessage(core, { ...key, number }, call, attempt) };
}

export async function deleteMessage(
  core: Core,
  request: DeleteMessageRequest,
  call: Call,
): Promise<DeleteMessageResponse> {
  const { number, ifVersion } = request;
  const key = keyOf(request);
  const step = { ifVersion, now: new Date(call.nowMs) };
  const attempt = () => core.store.deleteMessage(key, number, step);
  return { message: await changeMessage(core, { ...key, number }, call, attempt) };
}

/** True where the mask of an UpdateMessage is about a field; an empty one is about the body. */
export function covers(mask: string[] | undefined, field: "body" | "attributes"): boolean {
  if (mask === undefined || mask.length === 0) return field === "body";
  return mask.includes(field) || mask.includes("*");
}

type MessageKey = ChatKey & { number: number };

async function changeMessage(
  core: Core,
  { number, ...key }: MessageKey,
  call: Call,
  attempt: () => Promise<Change>,
): Promise<Message> {
  let change = await attempt();
  if (change.kind === "missing") {
    await waitUntilStored(core, { ...key, number }, call);
    change = await attempt();
  }
  switch (change.kind) {
    case "changed":
      core.wakeup.tell([key]);
      await indexChange(core, change, call);
      return change.message;
    case "unchanged":
      return change.message;
    case "mismatch": {
      const message = `message ${number} has version ${change.version}; read it and try again`;
      throw new ParleyError("VERSION_MISMATCH", message);
    }
    case "tombstone":
      throw new ParleyError("MESSAGE_DELETED", `message ${number} was deleted`);
    case "missing":
      throw await missingMessage(core, key, number, call);
  }
}

/**
 * Returns when message and chat have rows; throws where they will have none, or not in time. A
 * message can have its row before its chat has one.
 */
async function waitUntilStored(core: Core, { number, ...key }: MessageKey, call: Call) {
  const notStored = new ParleyError("NOT_STORED", `message ${number} is not stored yet`);
  const [job] = await findJobs(core, key, [number]);
  if (job?.parked === true) throw notStored;
  const hasRow = async () => (await core.store.findMessages(key, [number])).length === 1;
  if (job === undefined && !(await hasRow())) throw await missingMessage(core, key, number, call);
  await requireChat(core, key, call);
  const state = await waitForState(State.STATE_PERSISTED, call, {
    persisted: async () => (await hasRow()) && (await core.store.findChat(key)) !== undefined,
    searchable: async () => false,
  });
  if (state !== State.STATE_PERSISTED) throw notStored;
}

/**
 * Gives the index the new version at once, if it is well. The gap was noted with the change, so
 * that a crash, a slow index or an absent one leaves it to the repair chore.
 */
async function indexChange(
  core: Core,
  { message, gap }: Change & { kind: "changed" },
  call: Call,
): Promise<void> {
  await doInTime(INDEX_CHANGE_MS, call, async () => {
    const [refused] = await core.index.index([message]);
    if (refused !== undefined || gap === undefined) return;
    await core.store.closeGap({ ...keyOf(message), version: gap });
  });
}

/** A key that came in a larger object. */
function keyOf({ applicationToken, chatNumber }: ChatKey): ChatKey {
  return { applicationToken, chatNumber };
}
