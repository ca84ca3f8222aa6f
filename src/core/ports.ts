// What the rules need from the plumbing. A port is what its contract suite in test/contract says;
// both stacks pass the same suite. Infrastructure that is away is a ParleyError with the port's own
// reason (COUNTERS_UNAVAILABLE, STORE_UNAVAILABLE, SEARCH_UNAVAILABLE), thrown in bounded time:
// a vendor's error never leaves an adapter but as a cause.

import type { Application } from "../../gen/parley/v1/application.ts";
import type { Chat } from "../../gen/parley/v1/chat.ts";
import type { Message } from "../../gen/parley/v1/message.ts";
import type { NumberRange } from "../../gen/parley/v1/state.ts";
import type { Changes } from "./changes.ts";
import type { Deletions } from "./deletion.ts";
import type { ExternalName, Intake } from "./intake.ts";
import type { JobQueue } from "./job-queue.ts";
import type { Job } from "./jobs.ts";
import type { Lease } from "./lease.ts";
import type { Finding, ListedGap, Position, Rebuild, Upkeep } from "./upkeep.ts";
import type { Wakeup } from "./wakeup.ts";

/** A counter: of the chats of an application (no `chatNumber`), or of a chat's messages. */
export interface Counter {
  applicationToken: string;
  chatNumber?: number | undefined;
}

export interface ChatKey {
  applicationToken: string;
  chatNumber: number;
}

/** A page of rows: numbers between the two bounds, both excluded, in the order asked for. */
export interface NumberPage {
  after: number;
  /** Infinity where there is no upper bound. */
  before: number;
  order: "asc" | "desc";
  limit: number;
  signal?: AbortSignal;
}

/** What became of one job of a batch. */
export type Outcome =
  | { kind: "inserted" }
  /** The same row was there already. */
  | { kind: "present" }
  /** It, or what it is in, was deleted before: there is no row and will be none. */
  | { kind: "deleted" }
  /** The job itself is at fault: other content under its number, or no such application. */
  | { kind: "failed"; error: Error };

/** Rows: applications, chats, messages. `find` may be undefined. */
export interface Store extends Changes {
  /**
   * Writes the row and its ledger entry. Where `request` was used before, returns the application
   * of that time, `deleted` or not, with `digest` to be compared, and writes nothing.
   */
  insertApplication(
    application: Application,
    request?: { id: string; digest: string },
  ): Promise<{ application: Application; replayed: boolean; deleted: boolean; digest: string }>;
  findApplication(token: string, signal?: AbortSignal): Promise<Application | undefined>;
  /** In the order of creation; `after` is the `position` of the last one before the page. */
  listApplications(page: {
    after: number;
    limit: number;
    signal?: AbortSignal;
  }): Promise<{ position: number; application: Application }[]>;
  /** Undefined where there is no such application. */
  updateApplication(
    token: string,
    change: { name: string; updateTime: Date },
  ): Promise<Application | undefined>;
  /**
   * Writes the rows of a batch in one transaction and answers for each job, in order. Applying a
   * job again is "present". In the same transaction it takes late rows out of the voids (see the
   * ledger) and notes the highest `accept` of the batch as seen.
   */
  insertJobs(jobs: Job[]): Promise<Outcome[]>;
  findChat(key: ChatKey, signal?: AbortSignal): Promise<Chat | undefined>;
  /** The newest of an external id: docs/adr/0090 says when there can be more than one. */
  findNamedChat(name: ExternalName, signal?: AbortSignal): Promise<Chat | undefined>;
  listChats(applicationToken: string, page: NumberPage): Promise<Chat[]>;
  listMessages(key: ChatKey, page: NumberPage): Promise<Message[]>;
  /** How many numbers of a range have a row. */
  countMessages(key: ChatKey, range: NumberRange, signal?: AbortSignal): Promise<number>;
  /** The messages of these numbers that exist, in no promised order. At most 1,001 numbers. */
  findMessages(key: ChatKey, numbers: number[], signal?: AbortSignal): Promise<Message[]>;
  /**
   * Copies the values of counters: a count is the value less the voids up to it. A stale value does
   * not move a count back. Returns the counters that have no row yet; deleted ones want none.
   */
  updateCounts(counts: { counter: Counter; count: number }[], countTime: Date): Promise<Counter[]>;
  /** Notes that the index lacks these messages; widens the chat's gap where it has one. */
  noteGaps(gaps: ({ range: NumberRange } & ChatKey)[]): Promise<void>;
  /** Some gaps in the order of their chats, at most `limit`, each with a version for closeGap. */
  listGaps(limit: number, after?: Position): Promise<ListedGap[]>;
  /**
   * Closes a gap, or narrows it to what is `left` of it, unless it was noted anew since it was
   * listed; says whether it did.
   */
  closeGap(gap: { version: number; left?: NumberRange } & ChatKey): Promise<boolean>;
  /**
   * Remembers which index the rows were last written to. Where it was another one before, notes in
   * the same transaction a gap over all messages of every chat, and says true.
   */
  adoptIndex(identity: string): Promise<boolean>;
}

/** What outlives the counters' home: its epochs, the ceilings that were granted, and the voids. */
export interface Ledger {
  /** `witnessed` is the highest running number of the epoch that any process noted. */
  get(): Promise<{ epoch: number; pending: boolean; runId: string; witnessed: number }>;
  /**
   * Begins epoch `after + 1`, pending, unless another process did or one is pending. With `above`,
   * a later epoch that was found in the intake (so this database is an older copy), it begins the
   * one above that, also in place of one that is pending, which the intake would never take.
   */
  begin(step: { after: number; above?: number; runId: string }): Promise<void>;
  /** The epoch counts as begun from here on; nothing where it is not the pending one. */
  confirm(step: { epoch: number; runId: string }): Promise<void>;
  /** Notes that the epoch goes on under another run id. */
  adopt(step: { epoch: number; runId: string }): Promise<void>;
  /** Notes how far this process has seen the running number of the epoch go; never moves back. */
  witness(seen: { processId: string; epoch: number; accepts: number }): Promise<void>;
  /**
   * Grants a ceiling in one transaction. Without `ceiling` it seeds: `start` is above every number
   * that was ever granted and not below `atLeast`, the numbers up to it that have no row become
   * voids. In one epoch a counter has one start, however many ask, unless the counter was `lost`.
   * With `unlessSeeded` it keeps that start also where numbers above it were given since. With
   * `ceiling`, the one that was reached, it raises, unless another process already did. Blocks
   * double, see CEILING_BLOCK. "stale" where the epoch is not the current one or is pending;
   * "unknown" where neither a row nor `known` (its job was seen) says that the counter exists.
   */
  grant(request: {
    counter: Counter;
    epoch: number;
    ceiling?: number;
    /** So many numbers must fit above the start, or above the ceiling that was reached. */
    room?: number;
    known: boolean;
    atLeast?: number;
    lost?: boolean;
    unlessSeeded?: boolean;
  }): Promise<{ start: number; ceiling: number } | "stale" | "unknown">;
  /** The voids within a range of numbers, lowest first and disjoint, at most `limit`. */
  listVoids(counter: Counter, range: NumberRange, limit: number): Promise<NumberRange[]>;
  /** How many numbers of each counter are void up to its value, in the order asked for. */
  countVoids(counters: { counter: Counter; count: number }[]): Promise<number[]>;
  /** Some counters that were not seeded in the epoch of this moment, as listGaps lists gaps. */
  listUnseeded(limit: number, after?: Position): Promise<(Counter & { position: Position })[]>;
  /** Makes numbers void that have no row. */
  insertVoids(counter: Counter, range: NumberRange): Promise<void>;
}

/** A message as the index needs it. */
export interface SearchDocument extends ChatKey {
  number: number;
  /** Empty where the message was deleted: then no query finds it, and it is counted. */
  body: string;
  /** From 1; a document of a lower version never replaces one of a higher. */
  version: number;
}

/** What is looked for in a chat, see `find`. */
export interface SearchQuery extends ChatKey {
  /** Folded text, see fold.ts. */
  parts: string[];
  before: number;
  limit: number;
  signal?: AbortSignal;
}

/** How many messages of a chat can be found, and the highest of their numbers, 0 for none. */
export interface Extent {
  count: number;
  lastNumber: number;
}

export interface SearchIndex {
  /**
   * Indexes in bulk; answers for each document, in order: an error where this document was refused.
   * Indexing the same again changes nothing.
   */
  index(documents: SearchDocument[]): Promise<(Error | undefined)[]>;
  /**
   * The numbers of the chat's messages below `before` that contain every part, highest first, at
   * most `limit`.
   */
  find(query: SearchQuery): Promise<number[]>;
  extent(key: ChatKey, signal?: AbortSignal): Promise<Extent>;
  /** The extent, and what is found after that: what the one shows the other shows too. */
  findWithExtent(query: SearchQuery): Promise<{ extent: Extent; numbers: number[] }>;
  /** How many messages within a range of numbers can be found. */
  count(key: ChatKey, range: NumberRange, signal?: AbortSignal): Promise<number>;
  /** Takes away some documents, up to a number where of a chat; returns how many, 0 for none. */
  remove(key: Counter & { throughNumber: number }): Promise<number>;
  /** Says which index this is: another id means that it was deleted or replaced, so lacks all. */
  identity(): Promise<string>;
  /**
   * Begins a second index, empty, in place of one that was begun before and not ended. From when
   * the promise resolves on, every process writes what it indexes to both.
   */
  rebuild(): Promise<Rebuild>;
}

/** Adapters that belong together. */
export interface Stack {
  name: "embedded" | "production";
  intake: Intake;
  queue: JobQueue;
  store: Store;
  ledger: Ledger;
  deletions: Deletions;
  index: SearchIndex;
  lease: Lease;
  wakeup: Wakeup;
  upkeep: Upkeep;
  /** What the stack's own technologies say of themselves, in bounded time; it never rejects. */
  examine(): Promise<Finding[]>;
  /** Closes every connection and file; the queue is stopped before, by whoever started it. */
  stop(): Promise<void>;
}
