import type { Job, MessageJob } from "./core/jobs.ts";
import type { Outcome } from "./core/ports.ts";
import type { Trace } from "./core/trace.ts";

// What happens in a process that is worth counting or tracing, one function for each event. Parts
// are handed their `events` as they are handed their log; where nobody looks there are none, and
// nothing is paid for them.

/** What a call came with beside its request; gRPC's metadata is one. */
export interface Headers {
  get(name: string): unknown[];
}

/** A call under way. */
export interface CallSeen {
  /** Undefined where the call is not traced. */
  trace: Trace | undefined;
  /** Called once, with the name of the status. */
  ended(code: string): void;
}

/** A batch whose jobs were written. Times are in milliseconds since 1970. */
export interface AppliedBatch {
  jobs: readonly Job[];
  /** What became of each job, in order. */
  outcomes: readonly Outcome[];
  /** Those that were to be indexed, and those of them that could not be. */
  messages: readonly MessageJob[];
  lacking: readonly MessageJob[];
  beganMs: number;
  persistedMs: number;
  indexedMs: number;
}

export interface ChoreSeen {
  name: string;
  ms: number;
  /** How much it did; undefined where it failed. */
  done: number | undefined;
}

export interface Events {
  /** A call of an RPC, `parley.v1.ChatService/CreateChat`, has begun. */
  call(method: string, headers: Headers): CallSeen;
  /** A worker has applied a batch. */
  batch(batch: AppliedBatch): void;
  /** A try of a job has failed. */
  jobFailed(): void;
  /** A scheduler has run a chore. */
  chore(run: ChoreSeen): void;
}

/** Tells two of what one is told. */
export function both(one: Events, other: Events): Events {
  return {
    call: (method, headers) => {
      const first = one.call(method, headers);
      const second = other.call(method, headers);
      return {
        trace: first.trace ?? second.trace,
        ended: (code) => {
          first.ended(code);
          second.ended(code);
        },
      };
    },
    batch: (batch) => {
      one.batch(batch);
      other.batch(batch);
    },
    jobFailed: () => {
      one.jobFailed();
      other.jobFailed();
    },
    chore: (run) => {
      one.chore(run);
      other.chore(run);
    },
  };
}
