import type { Delivery, JobCounts, JobQueue, JobReport } from "../../core/job-queue.ts";
import type { Logger } from "../../log.ts";
import { BeeSession } from "./bee-session.ts";
import { RedisConnection } from "./connection.ts";
import { JobDesk } from "./job-desk.ts";
import {
  ACTIVE,
  DELAYED,
  FAILED,
  JOBS,
  STALL_BLOCK,
  STALLING,
  STALLS,
  SUSPECTS,
  WAITING,
} from "./keys.ts";
import { pause } from "./pause.ts";
import { Trials } from "./trials.ts";

/** The pause before a new session; it doubles from the first to the last. */
const RESTART_MS = { first: 100, last: 2_000 };
/**
 * Workers show so often that they live: a job of a dead one comes back within two of these, and the
 * time of two looks.
 */
const STALL_MS = 10_000;
/** How often in that time the queue is looked after. */
const LOOKS_PER_STALL = 5;
/** A session is given up when so many looks in a row see no job come though jobs wait. */
const BAD_LOOKS_MAX = 3;
/** A session that lasted as long was a good one. */
const LASTING_MS = 10_000;
/** Active ids that one look goes through. */
const GHOSTS_MAX = 1_000;
/** Where there are more jobs than that, none is looked for that has no place. */
const STRAYS_AMONG_MAX = 100_000;
/** How long a session that was given up waits for the jobs that it has in work. */
const OLD_SESSION_MS = 60_000;
/** How long suspects may keep a worker from its other jobs, in parts of the stall time. */
const TRIAL_STALLS = 0.5;
/** After jobs in work did not end in time for suspects, the next try comes so much later. */
const TRIAL_PAUSE_STALLS = 3;

export interface BeeQueueOptions {
  url: string;
  log?: Pick<Logger, "warn" | "error">;
  /** Shorter in tests that wait for it. All workers of one Redis must have the same. */
  stallMs?: number;
}

type Handle = (delivery: Delivery) => Promise<void>;

/** Bee-Queue, made to outlive what happens to its connection: see BeeSession. */
export class BeeQueue implements JobQueue {
  private readonly options: BeeQueueOptions & { stallMs: number };
  private readonly connection: RedisConnection;
  private readonly stopping = new AbortController();
  private readonly desk: JobDesk;
  private readonly trials: Trials;
  private trial: Promise<void> | undefined;
  private nextTrialMs = 0;
  private readonly inWork = new Map<string, Promise<void>>();
  /** True while suspects are in work, or wait for the jobs in work to end. */
  private gated = false;
  private drained: () => void = () => {};
  private readonly held: (() => void)[] = [];
  private readonly closings = new Set<Promise<void>>();
  private session: BeeSession | undefined;
  private graceMs = OLD_SESSION_MS;
  private delivered = 0;
  private looped: Promise<void> | undefined;

  constructor(options: BeeQueueOptions) {
    this.options = { stallMs: STALL_MS, ...options };
    this.connection = new RedisConnection(options.url);
    this.desk = new JobDesk(this.connection);
    const { connection, stopping } = this;
    const { stallMs, log } = this.options;
    this.trials = new Trials({ connection, stallMs, stopping: stopping.signal, log });
  }

  process(concurrency: number, handle: Handle): void {
    if (this.looped !== undefined) throw new Error("process was called before");
    this.looped = this.loop(concurrency, handle);
  }

  async stop(graceMs: number): Promise<void> {
    this.graceMs = graceMs;
    this.stopping.abort();
    this.close(this.session);
    const waited = new AbortController();
    const ended = Promise.all([this.looped, this.trial]).then(() => Promise.all(this.closings));
    await Promise.race([ended, pause(graceMs, waited.signal)]);
    waited.abort();
    // Suspects that are let go are charged with nothing: this worker does not end for them.
    if (this.trial !== undefined) await this.trials.leave().catch(() => {});
    this.connection.stop();
  }

  counts(): Promise<JobCounts> {
    return this.desk.counts();
  }

  oldestMs(): Promise<number | undefined> {
    return this.desk.oldestMs();
  }

  attended(): Promise<boolean> {
    return this.desk.attended();
  }

  find(id: string): Promise<JobReport | undefined> {
    return this.desk.find(id);
  }

  listParked(limit: number): Promise<JobReport[]> {
    return this.desk.listParked(limit);
  }

  requeue(id: string): Promise<boolean> {
    return this.desk.requeue(id);
  }

  drop(id: string): Promise<boolean> {
    return this.desk.drop(id);
  }

  dropParked(pick: (ids: string[]) => Promise<string[]>): Promise<number> {
    return this.desk.dropParked(pick);
  }

  /** One session after the other, until it is stopped. */
  private async loop(concurrency: number, handle: Handle): Promise<void> {
    let failures = 0;
    while (!this.stopping.signal.aborted) {
      const startedMs = performance.now();
      let error: unknown;
      try {
        // Asked first, because it refuses what Bee-Queue does not: a database that does not exist.
        await this.connection.use((redis) => redis.ping());
        if (this.stopping.signal.aborted) return;
        await this.findSuspects();
        const session = new BeeSession(this.options);
        this.session = session;
        await session.start(concurrency, (job) =>
          this.deliver({ ...job, suspect: false }, concurrency, async (delivery) => {
            await handle(delivery);
            // Its own session cannot say so any more.
            if (session.over) await this.trials.done(job.id).catch(() => {});
          }),
        );
        error = await this.lookAfter(session, concurrency, handle);
      } catch (reason) {
        error = reason;
      }
      this.close(this.session);
      if (this.stopping.signal.aborted) return;
      if (performance.now() - startedMs > LASTING_MS) failures = 0;
      if (failures === 0) this.options.log?.warn({ err: error }, "the queue is opened anew");
      const pauseMs = Math.min(RESTART_MS.first * 2 ** failures++, RESTART_MS.last);
      await pause(pauseMs, this.stopping.signal);
    }
  }

  /** Returns when the session is of no more use, with the reason. */
  private async lookAfter(
    session: BeeSession,
    concurrency: number,
    handle: Handle,
  ): Promise<unknown> {
    const over = new AbortController();
    const reason = session.trouble.finally(() => over.abort());
    let badLooks = 0;
    for (;;) {
      const before = this.delivered;
      await pause(this.options.stallMs / LOOKS_PER_STALL, over.signal);
      if (over.signal.aborted) return reason;
      const suspects = await this.findSuspects().catch(() => undefined);
      // Where that failed Bee-Queue's own check, which the probe is, might not find itself blocked.
      if (suspects !== undefined) await session.probe();
      if (suspects !== undefined && suspects > 0) this.trySuspects(suspects, handle);
      const waiting = await this.tidyUp();
      const idle = this.inWork.size < concurrency && !this.gated;
      const deaf = waiting > 0 && this.delivered === before && idle;
      badLooks = deaf || session.lostPlaces > concurrency / 2 ? badLooks + 1 : 0;
      if (badLooks >= BAD_LOOKS_MAX) session.giveUp(deaf ? "no job comes" : "places were lost");
    }
  }

  /** Takes what dead workers had from the active jobs; says how many suspects there are. */
  private async findSuspects(): Promise<number> {
    const keys = [STALL_BLOCK, STALLS, STALLING, ACTIVE, JOBS, SUSPECTS];
    return this.connection.use(
      async (redis) => (await redis.stalled(...keys, this.options.stallMs)) as number,
    );
  }

  /** Begins to try suspects, unless this or another worker does already. */
  private trySuspects(suspects: number, handle: Handle): void {
    if (this.trial !== undefined || performance.now() < this.nextTrialMs) return;
    this.trial = this.holdTrial(suspects, handle)
      .catch((error: unknown) => {
        this.options.log?.warn({ err: error }, "suspects cannot be tried now");
      })
      .finally(() => {
        this.trial = undefined;
      });
  }

  private async holdTrial(suspects: number, handle: Handle): Promise<void> {
    if (!(await this.trials.hold())) return;
    this.options.log?.warn({ suspects }, "jobs whose worker ended are tried with nothing beside");
    const maxMs = TRIAL_STALLS * this.options.stallMs;
    try {
      this.gated = true;
      if (await this.drain(maxMs)) await this.trials.run(handle, performance.now() + maxMs);
      else this.nextTrialMs = performance.now() + TRIAL_PAUSE_STALLS * this.options.stallMs;
    } finally {
      this.gated = false;
      for (const wake of this.held.splice(0)) wake();
    }
    await this.trials.leave();
  }

  /** Waits until nothing is in work; false where that takes too long. */
  private async drain(maxMs: number): Promise<boolean> {
    const waited = new AbortController();
    this.drained = () => waited.abort();
    if (this.inWork.size > 0) await pause(maxMs, waited.signal);
    return this.inWork.size === 0;
  }

  /** Clears ids without a job and finds jobs without a place; says how many jobs wait. */
  private async tidyUp(): Promise<number> {
    try {
      return await this.connection.use(async (redis) => {
        const ghosts = await redis.ghosts(ACTIVE, JOBS, WAITING, GHOSTS_MAX);
        const places = [WAITING, ACTIVE, DELAYED, FAILED, SUSPECTS];
        const strays = (await redis.strays(JOBS, ...places, STRAYS_AMONG_MAX)) as number;
        if (strays > 0) this.options.log?.warn({ strays }, "jobs without a place were put back");
        return (ghosts as [number, number])[1];
      });
    } catch {
      // The queue's own connection says whether the session is over.
      return 0;
    }
  }

  /** Ends a session in the background: it may have jobs in work, whose outcome it still records. */
  private close(session: BeeSession | undefined): void {
    if (session === undefined || session !== this.session) return;
    this.session = undefined;
    const closing = session.close(this.graceMs).finally(() => this.closings.delete(closing));
    this.closings.add(closing);
  }

  /**
   * A job can come again while it is in work here, when its session was lost: then both wait for
   * one outcome. So at most `concurrency` jobs are in work, however often the connection is lost.
   */
  private async deliver(job: Delivery, concurrency: number, handle: Handle): Promise<void> {
    this.delivered++;
    for (;;) {
      const present = this.inWork.get(job.id);
      if (present !== undefined) return present;
      if (this.inWork.size < concurrency && !this.gated) break;
      await new Promise<void>((resolve) => this.held.push(resolve));
    }
    const work = handle(job).finally(() => {
      this.inWork.delete(job.id);
      if (!this.gated) this.held.shift()?.();
      else if (this.inWork.size === 0) this.drained();
    });
    this.inWork.set(job.id, work);
    return work;
  }
}
