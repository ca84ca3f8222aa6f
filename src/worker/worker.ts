import type { Epochs } from "../core/epochs.ts";
import type { Delivery, JobQueue } from "../core/job-queue.ts";
import { decodeJob, type Job } from "../core/jobs.ts";
import { BATCH_BYTES_MAX, BATCH_JOBS_MAX } from "../core/limits.ts";
import type { SearchIndex, Stack } from "../core/ports.ts";
import { isUnavailable } from "../errors.ts";
import type { Events } from "../events.ts";
import type { Logger } from "../log.ts";
import type { Process } from "../process.ts";
import { Applier } from "./apply.ts";
import { Batcher } from "./batcher.ts";

/** A job, and whether it may wait for parts that are away: see Delivery. */
interface Taken {
  job: Job;
  suspect: boolean;
}

/** A row and its place in a batch cost about this much beside the body. */
const JOB_BYTES = 200;

export interface WorkerOptions {
  /** Jobs in work at a time; batches cannot be larger. */
  concurrency: number;
  /** Batches in work at a time. */
  lanes: number;
  /** How long jobs in work may take to end when the worker stops. */
  graceMs: number;
}

/** Takes jobs, gathers them into batches and applies them. Any number of workers may run. */
export class Worker implements Process {
  private readonly queue: JobQueue;
  private readonly index: SearchIndex;
  private readonly epochs: Epochs;
  private readonly options: WorkerOptions;
  private readonly log: Logger;
  private readonly events: Events | undefined;
  private readonly stopping = new AbortController();
  private readonly batcher: Batcher<Taken>;

  constructor(
    parts: Pick<Stack, "queue" | "store" | "index" | "wakeup"> & {
      epochs: Epochs;
      log: Logger;
      events?: Events | undefined;
    },
    options: WorkerOptions,
  ) {
    this.queue = parts.queue;
    this.epochs = parts.epochs;
    this.index = parts.index;
    this.log = parts.log;
    this.events = parts.events;
    this.options = options;
    const applier = new Applier({ ...parts, stopped: this.stopping.signal });
    const bounds = { count: BATCH_JOBS_MAX, bytes: BATCH_BYTES_MAX, lanes: options.lanes };
    this.batcher = new Batcher(bounds, (taken) => {
      const jobs = taken.map(({ job }) => job);
      // The queue hands suspects out with nothing beside them.
      const wait = taken.some(({ suspect }) => !suspect);
      return applier.apply(jobs, { wait });
    });
  }

  async start(): Promise<void> {
    // Makes the index where there is none; what it lacks until then is noted as gaps.
    await this.index.identity().catch((error: unknown) => {
      this.log.warn({ err: error }, "the search index is away");
    });
    this.queue.process(this.options.concurrency, (delivery) => this.handle(delivery));
  }

  async stop(): Promise<void> {
    // A batch that is held for an absent store would not end by itself.
    const giveUp = setTimeout(() => this.stopping.abort(), this.options.graceMs / 2);
    await this.queue.stop(this.options.graceMs);
    clearTimeout(giveUp);
  }

  private async handle(delivery: Delivery): Promise<void> {
    try {
      const job = decodeJob(delivery.data);
      // Redis may lose it from here on, but its row will come.
      this.epochs.see(job.epoch, job.accept);
      const bytes = job.kind === "message" ? Buffer.byteLength(job.body) : 0;
      await this.batcher.add({ job, suspect: delivery.suspect }, JOB_BYTES + bytes);
    } catch (error) {
      if (delivery.suspect && isUnavailable(error)) throw error;
      // A job that was let go because the worker stops must not be counted as tried: its promise
      // stays open, and it comes back like the jobs of a process that died.
      if (this.stopping.signal.aborted) await new Promise<never>(() => {});
      this.events?.jobFailed();
      this.log.error({ job: delivery.id, err: error }, "a job failed");
      throw error;
    }
  }
}
