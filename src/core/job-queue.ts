// One of the ports, see ports.ts.

/** A job as the queue hands it out. */
export interface Delivery {
  id: string;
  /** As it was written: decodeJob reads it, and may refuse it. */
  data: unknown;
  /**
   * True where its process ended while it was in work before. Who handles it must not wait for a
   * part that is away but reject with the error that says so.
   */
  suspect: boolean;
}

/** What is known of a job that is not done. */
export interface JobReport {
  id: string;
  data: unknown;
  /**
   * A job whose process ended while it was in work is a suspect until it has passed. "waiting" is
   * also one that a worker takes at this moment.
   */
  place: "waiting" | "in work" | "delayed" | "suspect" | "parked";
  /** Tries that failed. */
  tries: number;
  /** How often its process ended while it ran alone. */
  stalls: number;
  /** Of the last try that failed, "" where none did. */
  error: string;
  /** When it is tried again, in milliseconds since 1970, where it is delayed. */
  dueMs: number | undefined;
}

/** How many jobs are where. */
export type JobCounts = Record<"waiting" | "inWork" | "delayed" | "suspects" | "parked", number>;

/**
 * Hands each job out at least once.
 *
 * Jobs of a process that died, or was silent, come back within 30 s as suspects. They run with
 * nothing else in work in their process, in one process at a time: in groups of SUSPECTS_TOGETHER,
 * and where that process ends too, one by one. Only a job whose process ended while it ran alone is
 * charged with that, and parked after JOB_TRIES_MAX times; so it takes no blameless job along. A
 * suspect that passed or failed is none any more; one that was rejected because a part is away
 * stays one, and is charged with nothing.
 */
export interface JobQueue {
  /**
   * Hands jobs out from now on, at most `concurrency` at a time, suspects not counted. Where the
   * promise of `handle` resolves the job is done and gone. Where it rejects the job is tried again
   * after a pause that doubles, and parked after its last try.
   */
  process(concurrency: number, handle: (delivery: Delivery) => Promise<void>): void;
  /** Takes no more jobs and waits for those in work, at most `graceMs`. */
  stop(graceMs: number): Promise<void>;
  counts(): Promise<JobCounts>;
  /**
   * When the oldest of the jobs that are next in their places was accepted, in milliseconds since
   * 1970; parked ones do not count. Undefined where there is none.
   */
  oldestMs(): Promise<number | undefined>;
  /** Whether a process took jobs within the last half minute. */
  attended(): Promise<boolean>;
  /** Undefined where there is no such job: done, dropped, or never accepted. */
  find(id: string): Promise<JobReport | undefined>;
  /** Parked jobs, oldest first by the time they were accepted, at most `limit`. */
  listParked(limit: number): Promise<JobReport[]>;
  /**
   * Puts a parked job back with all its tries; false where no such job is parked. One that ended
   * its processes comes back as a suspect that runs alone.
   */
  requeue(id: string): Promise<boolean>;
  /** Takes a parked job away for good; false where no such job is parked. */
  drop(id: string): Promise<boolean>;
  /** Takes away the parked jobs that are picked of those shown, ids by ids; returns how many. */
  dropParked(pick: (ids: string[]) => Promise<string[]>): Promise<number>;
}
