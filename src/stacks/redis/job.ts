import { JOB_BACKOFF_MS, JOB_TRIES_MAX } from "../../core/limits.ts";

/** What Bee-Queue keeps beside a job's data, as it is when the job is new. */
function freshOptions(createMs: number) {
  return {
    timestamp: createMs,
    stacktraces: [] as string[],
    retries: JOB_TRIES_MAX - 1,
    backoff: { strategy: "exponential", delay: JOB_BACKOFF_MS },
  };
}

/** A job as Bee-Queue keeps it in its hash. */
export interface BeeJob {
  data: unknown;
  /** `stalls` is ours: how often its worker ended while it ran alone, of a job parked for that. */
  options: ReturnType<typeof freshOptions> & { stalls?: number };
  status: string;
}

/** Puts what Bee-Queue keeps around the two halves of a job's data, see encodeDraft. */
export function wrapDraft(draft: { head: string; tail: string; createMs: number }): {
  head: string;
  tail: string;
} {
  return {
    head: `{"data":${draft.head}`,
    tail: `${draft.tail},"options":{"timestamp":${draft.createMs},${FRESH}},"status":"created"}`,
  };
}

/** The options of a new job behind its time, which comes first. */
const FRESH = JSON.stringify(freshOptions(0)).slice('{"timestamp":0,'.length, -1);

/** The same job with all its tries. */
export function renewJob(job: BeeJob): string {
  return JSON.stringify({
    data: job.data,
    options: freshOptions(job.options.timestamp),
    status: "created",
  });
}

/** The job after a try that failed, as Bee-Queue leaves it; no pause where it was the last one. */
export function failJob(
  { data, options }: BeeJob,
  error: string,
): { json: string; pauseMs: number | undefined } {
  const stacktraces = [error, ...options.stacktraces];
  if (options.retries === 0) {
    return { json: parkJob({ data, options, status: "" }, { error }), pauseMs: undefined };
  }
  const { backoff, retries } = options;
  // Bee-Queue keeps the next pause where it kept this one.
  const next = { ...backoff, delay: backoff.delay * 2 };
  const failed = { ...options, stacktraces, retries: retries - 1, backoff: next };
  const json = JSON.stringify({ data, options: failed, status: "retrying" });
  return { json, pauseMs: backoff.delay };
}

/** The job out of tries. */
export function parkJob(
  { data, options }: BeeJob,
  { error, stalls }: { error: string; stalls?: number },
): string {
  const stacktraces = [error, ...options.stacktraces];
  const parked = { ...options, stacktraces, ...(stalls !== undefined && { stalls }) };
  return JSON.stringify({ data, options: parked, status: "failed" });
}

export function parseJob(json: string): BeeJob {
  return JSON.parse(json) as BeeJob;
}
