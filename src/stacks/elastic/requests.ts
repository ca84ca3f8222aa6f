import type { estypes } from "@elastic/elasticsearch";
import type { NumberRange } from "../../../gen/parley/v1/state.ts";
import { foldText, phraseOf, pieces } from "../../core/fold.ts";
import type { ChatKey, Counter, SearchDocument } from "../../core/ports.ts";

// What is sent to Elasticsearch, as pure functions. test/golden keeps the query as a file.

/** Documents that one request takes away, so that it is answered in time. */
export const REMOVE_MAX = 2_000;

/** The value of `chat` and the routing of a chat's documents. */
export function chatNameOf({ applicationToken, chatNumber }: ChatKey): string {
  return `${applicationToken}:${chatNumber}`;
}

/**
 * The two lines of a document in a bulk request. A replay has the same version and writes the same;
 * a lower version is refused with 409.
 */
export function bulkLinesOf(document: SearchDocument): [action: string, source: string] {
  const chat = chatNameOf(document);
  const { number, version, body } = document;
  const _id = `${chat}:${number}`;
  const action = { _id, routing: chat, version, version_type: "external_gte" };
  const source = { chat, number, pieces: pieces(foldText(body)) };
  return [JSON.stringify({ index: action }), JSON.stringify(source)];
}

/**
 * Where a chat is looked up. Each copy of a shard shows new documents at a time of its own, so one
 * chat is always asked of one copy, as long as that one is there: else a message that was found
 * before could be missed a moment later.
 */
function placeOf(key: ChatKey): { routing: string; preference: string } {
  const chat = chatNameOf(key);
  return { routing: chat, preference: chat };
}

/** Messages of one chat that have every part, newest first. Filters alone: nothing is ranked. */
export function findRequest(
  alias: string,
  query: { parts: string[]; before: number; limit: number } & ChatKey,
): estypes.SearchRequest {
  const filter = [{ term: { chat: chatNameOf(query) } }, ...query.parts.map(conditionOf)];
  const request: estypes.SearchRequest = {
    index: alias,
    ...placeOf(query),
    query: { bool: { filter } },
    sort: [{ number: "desc" }],
    size: query.limit,
    track_total_hits: false,
    _source: false,
  };
  if (Number.isFinite(query.before)) request.search_after = [query.before];
  return request;
}

/** A part as a phrase of its pieces; where it is shorter than a piece, as the beginning of one. */
function conditionOf(part: string): estypes.QueryDslQueryContainer {
  const phrase = phraseOf(part);
  if (phrase === undefined) return { prefix: { pieces: { value: part } } };
  return { match_phrase: { pieces: { query: phrase } } };
}

/** Count and highest number from one state of one shard: two requests could see two states. */
export function extentRequest(alias: string, key: ChatKey): estypes.SearchRequest {
  return {
    index: alias,
    ...placeOf(key),
    query: { bool: { filter: [{ term: { chat: chatNameOf(key) } }] } },
    aggs: { last: { max: { field: "number" } } },
    size: 0,
    track_total_hits: true,
  };
}

/** A search as one of several in a request: where it goes, and what it is. */
export function linesOf({
  index,
  routing,
  preference,
  ...search
}: estypes.SearchRequest): [estypes.MsearchMultisearchHeader, estypes.SearchSearchRequestBody] {
  return [{ index, routing, preference }, search] as ReturnType<typeof linesOf>;
}

/** Some documents of a chat up to a number, or of a whole application. */
export function listRequest(
  alias: string,
  { applicationToken, chatNumber, throughNumber }: Counter & { throughNumber: number },
): estypes.SearchRequest {
  const page = { index: alias, size: REMOVE_MAX, track_total_hits: false, _source: false };
  if (chatNumber === undefined) {
    const query = { prefix: { chat: { value: `${applicationToken}:` } } };
    return { ...page, preference: applicationToken, query };
  }
  const key = { applicationToken, chatNumber };
  const chat = chatNameOf(key);
  const range = { range: { number: { lte: throughNumber } } };
  return { ...page, ...placeOf(key), query: { bool: { filter: [{ term: { chat } }, range] } } };
}

/** The line of a bulk request that takes a document away; its id begins with its routing. */
export function removeLineOf(id: string): string {
  return JSON.stringify({ delete: { _id: id, routing: id.slice(0, id.lastIndexOf(":")) } });
}

export function countRequest(
  alias: string,
  key: ChatKey,
  { firstNumber, lastNumber }: NumberRange,
): estypes.CountRequest {
  const range = { range: { number: { gte: firstNumber, lte: lastNumber } } };
  return {
    index: alias,
    ...placeOf(key),
    query: { bool: { filter: [{ term: { chat: chatNameOf(key) } }, range] } },
  };
}
