import { setImmediate as breathe } from "node:timers/promises";
import type { Client, estypes } from "@elastic/elasticsearch";
import type { NumberRange } from "../../../gen/parley/v1/state.ts";
import type {
  ChatKey,
  Counter,
  Extent,
  SearchDocument,
  SearchIndex,
  SearchQuery,
} from "../../core/ports.ts";
import type { Rebuild } from "../../core/upkeep.ts";
import {
  answeredOf,
  answerOf,
  isMissing,
  MISSING,
  RebuildError,
  searchUnavailable,
} from "./client.ts";
import { ensureIndex } from "./mapping.ts";
import { type Aliases, aliasesOf, beginRebuild, PhaseWatch } from "./rebuild.ts";
import {
  bulkLinesOf,
  countRequest,
  extentRequest,
  findRequest,
  linesOf,
  listRequest,
  REMOVE_MAX,
  removeLineOf,
} from "./requests.ts";

/**
 * Bytes of one bulk request. The pieces of a body may be 45 times its size; the server takes 100 MB
 * and has the whole request in memory. A document beyond it is sent alone.
 */
const BULK_BYTES_MAX = 8 * 1024 * 1024;

/** Documents that are folded in one turn of the event loop. */
const TURN_DOCUMENTS = 8;

/** A document of the same id and a higher version is there. */
const CONFLICT = 409;

/** The document itself is at fault. Every other status is the server's or the whole index's. */
const INVALID = 400;

/**
 * Full text search with Elasticsearch, in the one index behind an alias. The index is made by the
 * first request that misses it, so a deleted one takes new messages at once; that it is another one
 * shows in its identity.
 */
export class ElasticSearchIndex implements SearchIndex {
  private readonly client: Client;
  private readonly alias: string;
  private readonly aliases: Aliases;
  private readonly watch: PhaseWatch;

  constructor(client: Client, alias: string) {
    this.client = client;
    this.alias = alias;
    this.aliases = aliasesOf(alias);
    this.watch = new PhaseWatch(client, this.aliases);
  }

  index(documents: SearchDocument[]): Promise<(Error | undefined)[]> {
    return inBulks(documents, (lines) => this.writeAll(lines));
  }

  rebuild(): Promise<Rebuild> {
    return beginRebuild(this.client, this.aliases, (alias, documents) =>
      inBulks(documents, async (lines) => {
        const errors = await this.write(lines, { alias, refresh: false });
        if (errors === "gone") throw new RebuildError("another process has ended this rebuild");
        return errors;
      }),
    );
  }

  async find(query: SearchQuery): Promise<number[]> {
    return numbersOf(await this.search(findRequest(this.alias, query), query.signal));
  }

  async extent(key: ChatKey, signal?: AbortSignal): Promise<Extent> {
    return extentOf(await this.search(extentRequest(this.alias, key), signal));
  }

  /** One request, in which the server takes up the second search when the first is answered. */
  async findWithExtent(query: SearchQuery): Promise<{ extent: Extent; numbers: number[] }> {
    const { signal } = query;
    const searches = [extentRequest(this.alias, query), findRequest(this.alias, query)];
    const request = { searches: searches.flatMap(linesOf), max_concurrent_searches: 1 };
    const [extent, found] = await this.answerOf(async () => {
      const { responses } = await this.client.msearch(request, { signal });
      return responses.map(answeredOf);
    }, signal);
    return { extent: extentOf(completeOf(extent!)), numbers: numbersOf(completeOf(found!)) };
  }

  async count(key: ChatKey, range: NumberRange, signal?: AbortSignal): Promise<number> {
    const request = countRequest(this.alias, key, range);
    const send = () => this.client.count(request, { signal });
    return completeOf(await this.answerOf(send, signal)).count;
  }

  /** Also from an index in the making, into which the rows may have been read before. */
  async remove(key: Counter & { throughNumber: number }): Promise<number> {
    const underway = (await this.watch.get()) !== "none";
    if (!underway) return this.removeFrom(this.alias, key);
    const { filling } = this.aliases;
    // Nobody searches it, so nothing else shows in time what was just written to it.
    await answerOf(this.client.indices.refresh({ index: filling, ignore_unavailable: true }));
    return (await this.removeFrom(filling, key)) + (await this.removeFrom(this.alias, key));
  }

  private async removeFrom(
    alias: string,
    key: Counter & { throughNumber: number },
  ): Promise<number> {
    // A rebuild may have ended meanwhile; the index that is searched is made where it is missing.
    const request = { ...listRequest(alias, key), ignore_unavailable: alias !== this.alias };
    const { hits } = (await this.search(request, undefined)).hits;
    if (hits.length === 0) return 0;
    const answer = await this.answerOf(() =>
      this.client.bulk({
        index: alias,
        operations: hits.map((hit) => removeLineOf(hit._id!)),
        require_alias: true,
        // Without it the next page would be this one. Nobody asks for another after the last.
        refresh: hits.length === REMOVE_MAX,
        filter_path: "items.delete.status,items.delete.result,items.delete.error.type",
      }),
    );
    const items = answer.items.map((item) => item.delete!);
    const failed = items.find((item) => item.error !== undefined);
    if (failed !== undefined) throw searchUnavailable(new Error(`${failed.status} not deleted`));
    return items.filter((item) => item.result === "deleted").length;
  }

  async identity(): Promise<string> {
    return (await answerOf(ensureIndex(this.client, this.alias))).identity;
  }

  private async search(
    request: estypes.SearchRequest,
    signal: AbortSignal | undefined,
  ): Promise<estypes.SearchResponse> {
    return completeOf(await this.answerOf(() => this.client.search(request, { signal }), signal));
  }

  /**
   * Writes to the index that is searched, and before to one that is being made: so whatever shows
   * in the old one at the swap is in the new one too.
   */
  private async writeAll(lines: string[]): Promise<(Error | undefined)[]> {
    const phase = await this.watch.get();
    const refresh = phase === "closing";
    const others =
      phase === "none" ? "gone" : await this.write(lines, { alias: this.aliases.filling, refresh });
    const errors = await this.write(lines, { alias: this.alias, refresh: false });
    if (errors === "gone") throw searchUnavailable(new Error("the index is deleted all the time"));
    // Where the rebuild has ended, what the alias leads to now takes all there is.
    return others === "gone" ? errors : errors.map((error, at) => error ?? others[at]);
  }

  /** Sends the lines of documents and answers for each, in order; "gone" without such an alias. */
  private async write(
    operations: string[],
    { alias, refresh }: { alias: string; refresh: boolean },
  ): Promise<(Error | undefined)[] | "gone"> {
    const request = {
      index: alias,
      operations,
      refresh,
      // Without it the server would make an index of its own, with a mapping that it guesses.
      require_alias: true,
      filter_path: "items.index.status,items.index.error.type",
    };
    const send = async () => {
      const answer = await this.client.bulk(request);
      return answer.items.map((item) => item.index!);
    };
    const missing = (items: estypes.BulkResponseItem[]) =>
      items.some((item) => item.status === MISSING);
    let items = await this.answerOf(send);
    if (missing(items) && alias === this.alias) {
      await this.identity();
      items = await this.answerOf(send);
    }
    if (missing(items)) return "gone";
    const errors = items.map(errorOf);
    const away = items.every((item, at) => errors[at] !== undefined && item.status !== INVALID);
    if (away) throw searchUnavailable(errors[0]);
    return errors;
  }

  /** Sends a request, and again where the index had to be made for it. */
  private async answerOf<T>(send: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await answerOf(send(), signal);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await this.identity();
      return answerOf(send(), signal);
    }
  }
}

/** Cuts documents into bulk requests; answers for each document, in order. */
async function inBulks(
  documents: SearchDocument[],
  send: (lines: string[]) => Promise<(Error | undefined)[]>,
): Promise<(Error | undefined)[]> {
  const errors: (Error | undefined)[] = [];
  let lines: string[] = [];
  let bytes = 0;
  for (const [at, document] of documents.entries()) {
    // Folding a body can take tens of milliseconds where somebody meant it to.
    if (at % TURN_DOCUMENTS === 0) await breathe();
    const [action, source] = bulkLinesOf(document);
    const size = Buffer.byteLength(action) + Buffer.byteLength(source) + 2;
    if (lines.length > 0 && bytes + size > BULK_BYTES_MAX) {
      errors.push(...(await send(lines)));
      lines = [];
      bytes = 0;
    }
    lines.push(action, source);
    bytes += size;
  }
  if (lines.length > 0) errors.push(...(await send(lines)));
  return errors;
}

/** What was wrong with a document. The server's own words are left out: they quote the text. */
function errorOf(item: estypes.BulkResponseItem): Error | undefined {
  if (item.error === undefined || item.status === CONFLICT) return undefined;
  return new Error(`not indexed: ${item.status} ${item.error.type}`);
}

function numbersOf({ hits }: estypes.SearchResponse): number[] {
  return hits.hits.map((hit) => Number(hit.sort?.[0]));
}

function extentOf({ hits, aggregations }: estypes.SearchResponse): Extent {
  const total = hits.total as estypes.SearchTotalHits;
  const last = aggregations?.last as estypes.AggregationsMaxAggregate;
  return { count: total.value, lastNumber: last.value ?? 0 };
}

/** Takes an answer only where every shard that was asked gave one: part of it would be wrong. */
function completeOf<T extends { _shards: estypes.ShardStatistics; timed_out?: boolean }>(
  answer: T,
): T {
  if (answer._shards.failed > 0 || answer.timed_out === true) {
    throw searchUnavailable(new Error("a shard did not answer"));
  }
  return answer;
}
