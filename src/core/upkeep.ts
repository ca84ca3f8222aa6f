// What chores and those who operate Parley need beside the trip of a message.

import type { NumberRange } from "../../gen/parley/v1/state.ts";
import type { ChatKey, Counter, SearchDocument } from "./ports.ts";

/** Where a walk over chats goes on: behind this one. Only the adapter knows what the ids mean. */
export type Position = readonly [applicationId: number, chatNumber: number];

/** A search gap, with what Store.closeGap needs and where the next page of gaps begins. */
export interface ListedGap extends ChatKey {
  position: Position;
  range: NumberRange;
  version: number;
}

/** A chore, and when the last of its runs that came to their end began. */
export interface ChoreRun {
  name: string;
  beganTime: Date;
}

/** A counter as the rows know it. */
export interface StoredCounter {
  position: Position;
  counter: Counter;
  /** `chats_count` or `messages_count`. */
  stored: number;
  /** The highest number that has a row, 0 for none. */
  highestRow: number;
}

/** Rows for the upkeep of a system. It lives where the rows live, and is restored with them. */
export interface Upkeep {
  listChoreRuns(): Promise<ChoreRun[]>;
  /** Notes a run; one that began before the one that is noted changes nothing. */
  noteChoreRun(run: ChoreRun): Promise<void>;
  /**
   * The chats that have messages, each with its lowest and highest number; in order. The token is
   * "" where the application is gone.
   */
  listSpans(page: {
    after?: Position;
    limit: number;
  }): Promise<({ position: Position; range: NumberRange } & ChatKey)[]>;
  /** About how many messages there are, by the stored counts: for a progress bar. */
  countMessages(): Promise<number>;
  /** How many numbers are void. Its cost grows with the ranges that they lie in. */
  sumVoids(): Promise<number>;
  /** The counters that have a row: each application's, then those of its chats; in order. */
  listCounters(page: { after?: Position; limit: number }): Promise<StoredCounter[]>;
  /** Where a sample of counters may begin: drawn anew each time. */
  drawPosition(): Promise<Position>;
  /** Sets a stored count, up or down, unless it is another than `from`; says whether it did. */
  mendCount(step: { counter: Counter; from: number; to: number }): Promise<boolean>;
  /** The identity that adoptIndex remembered, "" for none. */
  adoptedIndex(): Promise<string>;
}

/** A second index in the making, see SearchIndex.rebuild. */
export interface Rebuild {
  /** Writes to the new index alone; answers as SearchIndex.index does. */
  index(documents: SearchDocument[]): Promise<(Error | undefined)[]>;
  /**
   * Puts the new index in the place of the old one in one step, with everything visible that was
   * written to it, and with the identity of the old one, since it lacks nothing that one had.
   */
  finish(): Promise<void>;
  /** Takes away what was begun. */
  abandon(): Promise<void>;
}

export type Rank = "error" | "warning" | "note";

/** Something that an operator should know, and what to do about it. */
export interface Finding {
  rank: Rank;
  /** What it is about: `Redis`, `counts`. */
  part: string;
  what: string;
  /** What to do; empty where there is nothing to do. */
  advice: string;
}
