import { setImmediate as breathe } from "node:timers/promises";
import type {
  Message,
  SearchMessagesRequest,
  SearchMessagesResponse,
  SearchMessagesResponse_Result,
} from "../../gen/parley/v1/message.ts";
import { State } from "../../gen/parley/v1/state.ts";
import { fieldInvalid } from "../errors.ts";
import { requireChat } from "./chats.ts";
import type { Call, Core } from "./core.ts";
import { foldText } from "./fold.ts";
import { PAGE_BYTES_MAX } from "./limits.ts";
import { bytesOfMessage } from "./messages.ts";
import { decodePageToken, encodePageToken, pageSizeOf } from "./pages.ts";
import type { ChatKey, Extent, SearchQuery } from "./ports.ts";
import { matches, parseQuery, segments } from "./query.ts";

/** Bytes of results that are made in one turn of the event loop. */
const TURN_BYTES = 4 * 1024;

export async function searchMessages(
  core: Core,
  request: SearchMessagesRequest,
  call: Call,
): Promise<SearchMessagesResponse> {
  const { applicationToken, chatNumber } = request;
  const key = { applicationToken, chatNumber };
  const parts = parseQuery(request.query);
  if (parts.length === 0) {
    throw fieldInvalid("query", "must have at least one letter, digit or sign that can be found");
  }
  const limit = pageSizeOf(request.pageSize);
  const binding = ["search", applicationToken, chatNumber, request.query];
  const before = decodePageToken(request.pageToken, ...binding) ?? Number.POSITIVE_INFINITY;
  const { signal } = call;
  const query = { ...key, parts, before, limit: limit + 1, signal };
  const { indexedThroughNumber, numbers, rows } = await lookUp(core, query, signal);
  const wanted = numbers.slice(0, limit);
  const found = new Map(rows.map((row) => [row.number, row]));
  const results: SearchMessagesResponse_Result[] = [];
  let bytes = 0;
  let turnBytes = 0;
  let last = 0;
  for (const number of wanted) {
    const result = resultOf(found.get(number), parts);
    const size = result === undefined ? 0 : bytesOfResult(result);
    if (results.length > 0 && bytes + size > PAGE_BYTES_MAX) break;
    if (result !== undefined) results.push(result);
    bytes += size;
    last = number;
    turnBytes += size;
    if (turnBytes < TURN_BYTES) continue;
    turnBytes = 0;
    // Folding a body can take tens of milliseconds where somebody meant it to.
    await breathe();
    signal.throwIfAborted();
  }
  // What was deleted may still be found for a while; its rows are gone at once.
  if (results.length === 0) await requireChat(core, key, call);
  const more = last !== numbers[numbers.length - 1] && numbers.length > 0;
  const nextPageToken = more ? encodePageToken(last, ...binding) : "";
  return { results, nextPageToken, indexedThroughNumber };
}

/**
 * What is found, its rows, and how far the index is. In this order: what shows by the first look
 * shows by the second, so the number claims nothing that the results could lack. Where it takes
 * later looks to tell the number, what is found comes after them.
 */
async function lookUp(
  core: Core,
  query: SearchQuery,
  signal: AbortSignal,
): Promise<{ indexedThroughNumber: number; numbers: number[]; rows: Message[] }> {
  const rowsOf = (numbers: number[]) =>
    core.store.findMessages(query, numbers.slice(0, query.limit - 1), signal);
  const { extent, numbers } = await core.index.findWithExtent(query);
  const [{ lastNumber: indexedThroughNumber, later }, rows] = await Promise.all([
    indexedThrough(core, query, extent, signal),
    rowsOf(numbers),
  ]);
  if (!later) return { indexedThroughNumber, numbers, rows };
  const found = await core.index.find(query);
  return { indexedThroughNumber, numbers: found, rows: await rowsOf(found) };
}

/** Every segment costs its text and up to ten bytes around it, so many short ones weigh a lot. */
function bytesOfResult({ message, segments }: SearchMessagesResponse_Result): number {
  let bytes = bytesOfMessage(message!);
  for (const { text } of segments) bytes += 10 + Buffer.byteLength(text);
  return bytes;
}

/** Nothing where the row, which is the truth, was deleted, or edited to what does not match. */
function resultOf(
  row: Message | undefined,
  parts: string[],
): SearchMessagesResponse_Result | undefined {
  if (row === undefined || row.deleteTime !== undefined) return undefined;
  // What nobody edited is what was indexed.
  if (row.version > 1 && !matches(foldText(row.body), parts)) return undefined;
  return {
    message: { ...row, state: State.STATE_SEARCHABLE },
    segments: segments(row.body, parts),
  };
}

/**
 * A number up to which every message is searchable. The index has no hole below its highest number
 * when it holds as many messages as there are numbers that are no voids. Where it has one, shorter
 * and shorter beginnings are tried, so the answer may be too low, never too high. What is still
 * found of messages that retention deleted does not count: their numbers are the first void.
 * `later` says whether the index was looked at again for it.
 */
async function indexedThrough(
  core: Core,
  key: ChatKey,
  extent: Extent,
  signal: AbortSignal,
): Promise<{ lastNumber: number; later: boolean }> {
  let { count, lastNumber } = extent;
  // As many messages as numbers: each number has its own, whatever is void by now.
  if (count === lastNumber) return { lastNumber, later: false };
  let firstNumber = 1;
  let later = false;
  const countFrom = async (first: number) => {
    later = true;
    count = await core.index.count(key, { firstNumber: first, lastNumber }, signal);
  };
  for (let step = 64; lastNumber > 0; step *= 16) {
    const [voids = 0] = await core.ledger.countVoids([{ counter: key, count: lastNumber }]);
    if (voids > 0 && firstNumber === 1) {
      firstNumber = await firstNotVoid(core, key, lastNumber);
      if (firstNumber > lastNumber) break;
      if (firstNumber > 1) await countFrom(firstNumber);
    }
    if (count + voids === lastNumber) break;
    lastNumber = Math.max(0, extent.lastNumber - step);
    if (lastNumber > 0) await countFrom(firstNumber);
  }
  return { lastNumber, later };
}

/** The first number of a chat that is not in a void at its very beginning. */
async function firstNotVoid(core: Core, key: ChatKey, lastNumber: number): Promise<number> {
  const [range] = await core.ledger.listVoids(key, { firstNumber: 1, lastNumber }, 1);
  return range?.firstNumber === 1 ? range.lastNumber + 1 : 1;
}
