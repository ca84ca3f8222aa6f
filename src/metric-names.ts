interface Metric {
  type: "counter" | "gauge" | "histogram";
  help: string;
  labels?: string[];
  /** Upper bounds of a histogram's buckets. */
  buckets?: number[];
}

/** From 1 ms to 10 s. */
const CALL_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const JOB_SECONDS = [
  0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800, 7_200,
];
const CHORE_SECONDS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300, 1_800];
const JOBS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];

const TABLE = {
  parley_calls_total: {
    type: "counter",
    help: "Calls that ended, by RPC and status.",
    labels: ["method", "code"],
  },
  parley_call_duration_seconds: {
    type: "histogram",
    help: "Time from when a call came in to its answer.",
    labels: ["method"],
    buckets: CALL_SECONDS,
  },
  parley_calls_in_flight: {
    type: "gauge",
    help: "Calls in work in this process.",
    labels: ["method"],
  },
  parley_jobs: {
    type: "gauge",
    help: "Jobs by place: waiting, in_work, delayed, suspects, parked.",
    labels: ["place"],
  },
  parley_oldest_job_age_seconds: {
    type: "gauge",
    help: "Age of the oldest job that is not parked, 0 where there is none.",
  },
  parley_backlog_used: {
    type: "gauge",
    help: "What counts against the bound of the backlog.",
  },
  parley_backlog_bound: {
    type: "gauge",
    help: "PARLEY_BACKLOG_MAX: creates are refused from here on.",
  },
  parley_jobs_tried_total: {
    type: "counter",
    help: "Tries of jobs by outcome: inserted, present, deleted, failed.",
    labels: ["outcome"],
  },
  parley_batch_jobs: {
    type: "histogram",
    help: "Jobs in a batch.",
    buckets: JOBS,
  },
  parley_batch_duration_seconds: {
    type: "histogram",
    help: "Time of a batch's step: persist (rows) or index.",
    labels: ["step"],
    buckets: CALL_SECONDS,
  },
  parley_accepted_to_persisted_seconds: {
    type: "histogram",
    help: "Time from the accept of a job to its row, by kind: chat, message.",
    labels: ["kind"],
    buckets: JOB_SECONDS,
  },
  parley_accepted_to_searchable_seconds: {
    type: "histogram",
    help: "Time from the accept of a message to when the index has it (see below).",
    buckets: JOB_SECONDS,
  },
  parley_search_gaps: {
    type: "gauge",
    help: "Chats of which the index lacks messages; counted up to 1000.",
  },
  parley_counters_checked: {
    type: "gauge",
    help: "Counters in the sample that was last held against the rows.",
  },
  parley_counters_drifted: {
    type: "gauge",
    help: "Counters of that sample with drift, by kind: count, missing, behind, rows.",
    labels: ["kind"],
  },
  parley_voids: {
    type: "gauge",
    help: "Numbers that are void.",
  },
  parley_epoch: {
    type: "gauge",
    help: "The epoch of the counters; another one means that their data was lost.",
  },
  parley_chore_last_success_timestamp_seconds: {
    type: "gauge",
    help: "When the last run of a chore that came to its end began.",
    labels: ["chore"],
  },
  parley_chore_runs_total: {
    type: "counter",
    help: "Runs of chores in this process by outcome: done, failed.",
    labels: ["chore", "outcome"],
  },
  parley_chore_duration_seconds: {
    type: "histogram",
    help: "Time of the runs that came to their end.",
    labels: ["chore"],
    buckets: CHORE_SECONDS,
  },
  parley_chore_done_total: {
    type: "counter",
    help: "What the runs of a chore did: counts copied, messages indexed, numbers made void.",
    labels: ["chore"],
  },
  parley_part_up: {
    type: "gauge",
    help: "1 where this process can read a part: counters, database; else 0.",
    labels: ["part"],
  },
} satisfies Record<string, Metric>;

export type MetricName = keyof typeof TABLE;

/** Every metric of ours; docs/observability.md has the same table. The client adds Node's own. */
export const METRICS: Record<MetricName, Metric> = TABLE;
