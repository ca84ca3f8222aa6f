import { WATCH_BUFFER_MAX } from "./limits.ts";
import { bytesOfMessage } from "./messages.ts";
import type { WatchEvent } from "./watch-position.ts";

/** What one who watches hears: events; that it lost some, so reads them itself; or nothing yet. */
export type Heard = WatchEvent[] | "lost" | "silence";

/**
 * The place at a feed of one who watches: events wait here until they are taken, within a bound.
 * Who is further behind than that loses them all, and reads on from the rows at its own pace.
 */
export class Seat {
  /** The feed had come so far when the seat was taken; what it finds from then on comes here. */
  readonly start: { number: number; change: number };
  private events: WatchEvent[] = [];
  private bytes = 0;
  private lost = false;
  private failure: { error: unknown } | undefined;
  private wake: (() => void) | undefined;

  constructor(start: { number: number; change: number }) {
    this.start = start;
  }

  push(events: WatchEvent[]): void {
    if (this.lost) return;
    for (const event of events) this.bytes += bytesOf(event);
    this.events.push(...events);
    if (this.events.length > WATCH_BUFFER_MAX.events || this.bytes > WATCH_BUFFER_MAX.bytes) {
      this.lose();
    }
    this.wake?.();
  }

  /** True where one who is quick would have taken what is here. */
  get busy(): boolean {
    const { events, bytes } = WATCH_BUFFER_MAX;
    return this.events.length > events / 2 || this.bytes > bytes / 2;
  }

  /** Lets all go that waits here; from now on nothing comes any more. */
  lose(): void {
    this.lost = true;
    this.events = [];
    this.bytes = 0;
  }

  fail(error: unknown): void {
    this.failure = { error };
    this.wake?.();
  }

  /** Takes all that waits, after some time where nothing does. */
  async take(timeoutMs: number, signal: AbortSignal): Promise<Heard> {
    if (this.events.length === 0 && !this.lost && this.failure === undefined && !signal.aborted) {
      await this.wait(timeoutMs, signal);
    }
    if (this.failure !== undefined) throw this.failure.error;
    if (this.lost) return "lost";
    if (this.events.length === 0) return "silence";
    const taken = this.events;
    this.events = [];
    this.bytes = 0;
    return taken;
  }

  private wait(timeoutMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        this.wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      signal.addEventListener("abort", done, { once: true });
      this.wake = done;
    });
  }
}

/** Events in parts of which a seat can hold some. */
export function* partsOf(events: WatchEvent[]): Generator<WatchEvent[]> {
  let part: WatchEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    part.push(event);
    bytes += bytesOf(event);
    if (bytes < WATCH_BUFFER_MAX.bytes / 4) continue;
    yield part;
    part = [];
    bytes = 0;
  }
  if (part.length > 0) yield part;
}

function bytesOf(event: WatchEvent): number {
  return "message" in event ? bytesOfMessage(event.message) : 0;
}
