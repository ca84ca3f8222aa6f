import { setTimeout as sleep } from "node:timers/promises";
import { isUnavailable } from "../errors.ts";
import type { Core } from "./core.ts";
import type { Gate } from "./gate.ts";
import { WATCH_ROOM_MS, WATCH_TURN_MAX } from "./limits.ts";
import type { ChatKey } from "./ports.ts";
import { partsOf, Seat } from "./seat.ts";
import { readOn, type WatchPage } from "./watch-page.ts";
import type { Position, WatchEvent } from "./watch-position.ts";

/** How often, how long and how many; see limits.ts. */
export interface FeedOptions {
  /** The time, in milliseconds since 1970. */
  now(): number;
  lookMs: number;
  pendingMs: number;
  storeAwayMs: number;
}

/** Looks with a reason, and those at chats of which nobody said that there is anything new. */
export interface FeedGates {
  hinted: Gate;
  idle: Gate;
}

/**
 * Reads what is new in one chat, once for all in this process who watch it: at each hint, and every
 * few seconds without one. It lives as long as somebody has a seat.
 */
export class Feed {
  private readonly core: Core;
  private readonly key: ChatKey;
  private readonly position: Position;
  private readonly gates: FeedGates;
  private readonly options: FeedOptions;
  private readonly seats = new Set<Seat>();
  /** Its reads are short, and what they find is of use to whoever comes next. */
  private readonly signal = new AbortController().signal;
  private hinted = false;
  private ended = false;
  private wake: (() => void) | undefined;
  private unavailableMs: number | undefined;

  /** Goes on from a position; `onEnd` is called when nobody can take a seat any more. */
  constructor(
    parts: { core: Core; key: ChatKey; position: Position; gates: FeedGates; onEnd: () => void },
    options: FeedOptions,
  ) {
    this.core = parts.core;
    this.key = parts.key;
    this.position = parts.position;
    this.gates = parts.gates;
    this.options = options;
    const unsubscribe = parts.core.wakeup.subscribe(parts.key, () => {
      this.hinted = true;
      this.wake?.();
    });
    void this.run().finally(() => {
      unsubscribe();
      parts.onEnd();
    });
  }

  /** A seat for one who comes from a position. What it has to wait for is waited for here too. */
  sit(from: Position): Seat {
    for (const one of from.pending) {
      if (one <= this.position.number) this.position.pending.add(one);
    }
    const { number, change } = this.position;
    const seat = new Seat({ number, change });
    this.seats.add(seat);
    return seat;
  }

  /** Gives a seat back; the feed ends with the last one. */
  leave(seat: Seat): void {
    this.seats.delete(seat);
    if (this.seats.size > 0) return;
    this.ended = true;
    this.wake?.();
  }

  get open(): boolean {
    return !this.ended;
  }

  private async run(): Promise<void> {
    // A turn later, when the first seat is taken.
    let more = await Promise.resolve(true);
    while (!this.ended) {
      try {
        more = await this.step(more);
        this.unavailableMs = undefined;
      } catch (error) {
        more = false;
        if (!this.isPassing(error)) this.fail(error);
      }
      if (!more && !this.hinted && !this.ended) await this.pause();
    }
  }

  private async step(more: boolean): Promise<boolean> {
    const quick = this.hinted;
    this.hinted = false;
    const page = await (quick || more
      ? this.gates.hinted.pass(1, undefined, () => this.read(quick))
      : this.readIdly());
    for (const event of page.events) this.position.apply(event);
    if (page.events.length > 0) await this.hand(page.events);
    return page.more;
  }

  private read(quick: boolean): Promise<WatchPage> {
    const { core, key, position, signal } = this;
    const { now, pendingMs } = this.options;
    return readOn(core, key, position, { nowMs: now(), pendingMs, quick, signal });
  }

  /** Reads when it is its turn; a hint or the end takes it out of the queue before. */
  private async readIdly(): Promise<WatchPage> {
    const leaving = new AbortController();
    this.wake = () => leaving.abort();
    try {
      return await this.gates.idle.pass(1, leaving.signal, () => {
        this.wake = undefined;
        return this.read(false);
      });
    } catch (error) {
      if (leaving.signal.aborted) return { events: [], more: false };
      throw error;
    } finally {
      this.wake = undefined;
    }
  }

  /** Many who watch are handed events some at a time, so that others have their turn. */
  private async hand(events: WatchEvent[]): Promise<void> {
    for (const part of partsOf(events)) {
      let handed = 0;
      for (const seat of this.seats) {
        seat.push(part);
        if (++handed % WATCH_TURN_MAX === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await this.room();
    }
  }

  /** Waits a little for those who have much to take, so that only who is slow loses it. */
  private async room(): Promise<void> {
    for (let waited = 0; waited < WATCH_ROOM_MS.last; waited += WATCH_ROOM_MS.first) {
      if (![...this.seats].some((seat) => seat.busy)) return;
      await sleep(WATCH_ROOM_MS.first);
    }
  }

  /** Who watches hears of a part that is away only when it stays away. */
  private isPassing(error: unknown): boolean {
    if (!isUnavailable(error)) return false;
    const nowMs = this.options.now();
    this.unavailableMs ??= nowMs;
    return nowMs - this.unavailableMs < this.options.storeAwayMs;
  }

  private fail(error: unknown): void {
    this.ended = true;
    for (const seat of this.seats) seat.fail(error);
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, this.options.lookMs);
      this.wake = done;
    });
  }
}
