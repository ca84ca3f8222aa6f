import type { Feeds } from "./feeds.ts";
import type { Numbering } from "./numbering.ts";
import type { Stack } from "./ports.ts";
import type { Trace } from "./trace.ts";

/** What every rule of the core works with. */
export interface Core
  extends Pick<Stack, "intake" | "store" | "ledger" | "deletions" | "index" | "wakeup"> {
  numbering: Numbering;
  feeds: Feeds;
}

/** One call, as the rules see it: time comes in, and so does the wish to stop. */
export interface Call {
  /** When the call arrived, in milliseconds since 1970. */
  nowMs: number;
  /** When its answer is due, in milliseconds since 1970. */
  deadlineMs: number;
  /** Aborted when the caller has gone or the deadline has passed. */
  signal: AbortSignal;
  /** Undefined where the call is not traced. */
  trace?: Trace | undefined;
}
