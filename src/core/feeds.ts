import { ParleyError } from "../errors.ts";
import type { Core } from "./core.ts";
import { Feed, type FeedOptions } from "./feed.ts";
import { Gate } from "./gate.ts";
import {
  WATCH_HEARTBEAT_MS,
  WATCH_IDLE_READS_MAX,
  WATCH_LOOK_MS,
  WATCH_PENDING_MS,
  WATCH_READS_MAX,
  WATCH_STORE_AWAY_MS,
  WATCHERS_MAX,
} from "./limits.ts";
import type { ChatKey } from "./ports.ts";
import type { Seat } from "./seat.ts";
import { readOn, type WatchPage } from "./watch-page.ts";
import type { Position } from "./watch-position.ts";

/** Shorter in tests that wait for them. */
export interface FeedsOptions extends FeedOptions {
  heartbeatMs: number;
}

/** A seat, and the way to give it back. */
export interface Taken {
  seat: Seat;
  leave(): void;
}

/** The feeds of a process, one for each chat that somebody watches. */
export class Feeds {
  readonly options: FeedsOptions;
  private readonly feeds = new Map<string, Feed>();
  private watchers = 0;
  private readonly watchersOf = new Map<string, number>();
  /**
   * Those who read their backlog must not keep the feeds from what is new, nor must looks at the
   * thousands of chats in which there is nothing, which may be one application's own.
   */
  private readonly gates = {
    hinted: new Gate(WATCH_READS_MAX),
    idle: new Gate(WATCH_IDLE_READS_MAX),
    others: new Gate(WATCH_READS_MAX),
  };

  constructor(options: Pick<FeedOptions, "now"> & Partial<FeedsOptions>) {
    this.options = {
      lookMs: WATCH_LOOK_MS,
      pendingMs: WATCH_PENDING_MS,
      heartbeatMs: WATCH_HEARTBEAT_MS,
      storeAwayMs: WATCH_STORE_AWAY_MS,
      ...options,
    };
  }

  /** Counts one more who watches in an application; returns what to call when that ends. */
  enter(applicationToken: string): () => void {
    const own = this.watchersOf.get(applicationToken) ?? 0;
    if (this.watchers >= WATCHERS_MAX.process || own >= WATCHERS_MAX.application) {
      throw new ParleyError("RATE_LIMITED", "too many callers watch on this server already");
    }
    this.watchers++;
    this.watchersOf.set(applicationToken, own + 1);
    return () => {
      this.watchers--;
      const left = this.watchersOf.get(applicationToken)! - 1;
      if (left === 0) this.watchersOf.delete(applicationToken);
      else this.watchersOf.set(applicationToken, left);
    };
  }

  /**
   * Runs what one alone reads, when it is its turn: thousands may come at once, after a restart of
   * what they watched on, and would wait for the database longer than it lets anybody wait.
   */
  pass<T>(signal: AbortSignal, step: () => Promise<T>): Promise<T> {
    return this.gates.others.pass(1, signal, step);
  }

  /** Reads what follows a position, for one who is behind. */
  read(core: Core, key: ChatKey, position: Position, signal: AbortSignal): Promise<WatchPage> {
    const { now, pendingMs } = this.options;
    return this.pass(signal, () =>
      readOn(core, key, position, { nowMs: now(), pendingMs, quick: false, signal }),
    );
  }

  /** Takes a seat at the chat's feed, which begins where the first who comes has got to. */
  sit(core: Core, key: ChatKey, position: Position): Taken {
    const name = `${key.applicationToken}:${key.chatNumber}`;
    let feed = this.feeds.get(name);
    if (feed === undefined || !feed.open) {
      const begun: Feed = new Feed(
        {
          ...{ core, key, position: position.copy(), gates: this.gates },
          onEnd: () => {
            if (this.feeds.get(name) === begun) this.feeds.delete(name);
          },
        },
        this.options,
      );
      feed = begun;
      this.feeds.set(name, feed);
    }
    const taken = feed;
    const seat = taken.sit(position);
    return { seat, leave: () => taken.leave(seat) };
  }
}
