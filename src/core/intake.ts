// One of the ports, see ports.ts.

import type { Removal } from "./deletion.ts";
import type { Job } from "./jobs.ts";
import type { ChatKey, Counter } from "./ports.ts";

/** What an intake says of itself, to be held against the ledger before it is trusted. */
export interface Inspection {
  /** Which connection saw this. The intake refuses later steps that name an older connection. */
  connection: number;
  /** Another value after every restart of what holds the counters. */
  runId: string;
  /** The epoch that is installed, 0 where there is none or its data is damaged. */
  epoch: number;
  /** The running number of the last accept of that epoch. */
  accepts: number;
  /** True where nothing that was answered can be lost by a restart: fsync always, no replicas. */
  durable: boolean;
}

/** What every atomic step is told. */
interface Step {
  connection: number;
  epoch: number;
  /** The highest running number that this process saw in the epoch; the intake must have it. */
  seen: number;
  counter: Counter;
  createMs: number;
  /** Where the caller sent a request id: it, and what tells its content from another's. */
  request: { id: string; digest: string } | undefined;
}

export interface AcceptRequest extends Step {
  /** The job in two halves, see encodeDraft. */
  head: string;
  tail: string;
  /** Of a new chat that has one. */
  externalId?: string | undefined;
  /** Looks the external id up and accepts nothing. */
  lookOnly?: boolean;
}

export interface BatchRequest extends Step {
  counter: ChatKey;
  /** The jobs, see encodeBatch. */
  head: string;
  contents: string[];
  tail: string;
}

export type Acceptance =
  /**
   * `left` is how many more numbers the ceiling allows. Of a batch it is the first number, and the
   * last running number. Where a number was given before, `accept` is the running number of this
   * moment: whoever answers with it must have seen that it was given.
   */
  | { kind: "accepted"; number: number; accept: number; left: number }
  /** The request id was accepted before, with the same content, and got this number then. */
  | { kind: "replayed"; number: number; createMs: number; accept: number }
  /** The request id was accepted before, with other content. */
  | { kind: "reused" }
  /** The connection, epoch or running number is not the one named: inspect again. */
  | { kind: "distrusted" }
  /**
   * The counter has no ceiling of this epoch; `value` is that of its key, where there is one. Or it
   * has a ceiling and was `lost`: its key is gone. `mark` is what `remove` left, "" for none.
   */
  | { kind: "unseeded"; value: number | undefined; lost: boolean; mark: string }
  /** The counter has reached this ceiling. */
  | { kind: "exhausted"; ceiling: number }
  /** The backlog bound is reached. */
  | { kind: "full" }
  /** A chat of this external id was accepted before. It may have been deleted since. */
  | { kind: "existing"; number: number; accept: number }
  /** With `lookOnly`: no chat of this external id is known here. */
  | { kind: "unnamed" };

/** A ceiling on its way into the intake, with the start of a counter that it seeds. */
export interface Grant {
  connection: number;
  epoch: number;
  counter: Counter;
  start?: number;
  ceiling: number;
  /** Seeds although the counter has a ceiling, where its key is gone. */
  lost?: boolean;
  /** With `start`: the mark that was seen before the ledger was asked, "" for none. */
  mark?: string;
}

export interface ExternalName {
  applicationToken: string;
  externalId: string;
}

/** Where numbers come from. One atomic step gives a number and leaves its job. */
export interface Intake extends Removal {
  /** Asks for the state of the counters' home on the connection of this moment. */
  inspect(): Promise<Inspection>;
  /**
   * Installs an epoch: sets it, sets the running number to 0 and forgets all ceilings; counters,
   * jobs and request ids stay. Does nothing, and says false, where the same or a later epoch is
   * there already or the connection is another.
   */
  install(epoch: { connection: number; epoch: number }): Promise<boolean>;
  /**
   * The atomic step. In this order it looks at trust, request id, external id, backlog, ceiling.
   */
  accept(request: AcceptRequest): Promise<Acceptance>;
  /** The same for many messages of one chat: consecutive numbers for all of them, or nothing. */
  acceptBatch(request: BatchRequest): Promise<Acceptance>;
  /** The number that was last accepted with an external id, deleted since or not. */
  findNamed(name: ExternalName): Promise<number | undefined>;
  /** Forgets an external id, where it still stands for this number. */
  freeName(name: ExternalName & { number: number }): Promise<void>;
  /**
   * Writes a ceiling. With `start` it seeds: sets counter and ceiling, unless the counter has a
   * ceiling of this epoch. Without, it raises the ceiling, never lowers it, and never gives a first
   * one. Says false, and does nothing, where connection or epoch is another, or the counter's mark:
   * it was removed after the ledger was asked.
   */
  grant(grant: Grant): Promise<boolean>;
  /**
   * The counters' values, in the order asked for; undefined where the key does not exist, and NaN
   * where it holds what is no number, which somebody else put there: no number is given until it is
   * taken away.
   */
  counts(counters: Counter[]): Promise<(number | undefined)[]>;
  /** Jobs that are not applied yet, by jobIdOf, in the order asked for. */
  find(jobIds: string[]): Promise<({ job: Job; parked: boolean } | undefined)[]>;
  /**
   * Some counters that changed since they were last forgotten, at most `limit`. They are told
   * again until `forget`, so a sync that dies loses none. A counter that changes after it was told
   * is told again even when it is then forgotten.
   */
  changed(limit: number): Promise<Counter[]>;
  forget(counters: Counter[]): Promise<void>;
  /** Which of these counters `changed` would tell, in the order asked for. */
  areChanged(counters: Counter[]): Promise<boolean[]>;
  /** What the backlog bound counts. */
  backlog(): Promise<{ jobs: number; requestIds: number }>;
}
