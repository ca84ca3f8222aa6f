import type {
  BatchCreateMessagesRequest,
  BatchCreateMessagesResponse,
  Message,
} from "../../gen/parley/v1/message.ts";
import { textOfAttributes } from "./attributes.ts";
import { missingChat, requireChat } from "./chats.ts";
import type { Call, Core } from "./core.ts";
import { isReplayDeleted } from "./deletion.ts";
import { digestOf, requestIdOf, retryOf } from "./jobs.ts";
import { contentOf, numberVoid } from "./messages.ts";
import { accepting } from "./trace.ts";
import { waitForState } from "./wait.ts";

/** Creates many messages in one step; from there on each is a message as any other. */
export async function batchCreateMessages(
  core: Core,
  request: BatchCreateMessagesRequest,
  call: Call,
): Promise<BatchCreateMessagesResponse> {
  const { applicationToken, chatNumber, messages } = request;
  const key = { applicationToken, chatNumber };
  const requestId = requestIdOf(request);
  const contents = messages.map(contentOf);
  const draft = { ...key, messages: contents, createMs: call.nowMs, requestId };
  const retry = retryOf(requestId, () => digestOfBatch(messages));
  const given = await accepting({ kind: "message", ...draft } as const, call, (one) =>
    core.numbering.acceptBatch(one, retry, call),
  );
  if (given === undefined) throw await missingChat(core, key, call);
  const { number: firstNumber, createMs, replayed } = given;
  const numbers = { firstNumber, lastNumber: firstNumber + messages.length - 1 };
  // Retention takes the first ones first, so where the last one is gone all are.
  if (replayed && (await isReplayDeleted(core, key, numbers.lastNumber))) {
    await requireChat(core, key, call);
    throw numberVoid(numbers.lastNumber);
  }
  const state = await waitForState(request.waitFor, call, {
    persisted: async () => (await core.store.countMessages(key, numbers)) === messages.length,
    searchable: async () => (await core.index.count(key, numbers)) === messages.length,
  });
  return { numbers, createTime: new Date(createMs), state, replayed };
}

/** Over as many parts for each message, so that no two batches are told as one. */
function digestOfBatch(messages: Message[]): string {
  const parts = messages.flatMap(({ body, author, attributes, originalTime }) => [
    body,
    author,
    textOfAttributes(attributes) ?? "",
    String(originalTime?.getTime() ?? ""),
  ]);
  return digestOf("batch", ...parts);
}
