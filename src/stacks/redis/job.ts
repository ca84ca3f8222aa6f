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
  options: ReturnType<typeof freshOptions>;
  status: string;
}

/** Puts what Bee-Queue keeps around the two halves of a job's data, see encodeDraft. */
export function wrapDraft(draft: { head: string; tail: string; createMs: number }): {
  head: string;
  tail: string;
} {
  const options = JSON.stringify(freshOptions(draft.createMs));
  return {
    head: `{"data":${draft.head}`,
    tail: `${draft.tail},"options":${options},"status":"created"}`,
  };
}

/** The same job with all its tries. */
export function renewJob(job: BeeJob): string {
  return JSON.stringify({
    data: job.data,
    options: freshOptions(job.options.timestamp),
    status: "created",
  });
}

export function parseJob(json: string): BeeJob {
  return JSON.parse(json) as BeeJob;
}
