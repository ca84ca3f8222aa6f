import type { Delivery, JobQueue } from "../../core/ports.ts";
import type { Logger } from "../../log.ts";
import { BeeSession } from "./bee-session.ts";
import { RedisConnection } from "./connection.ts";
import { parseJob, renewJob } from "./job.ts";
import { ACTIVE, FAILED, JOBS, WAITING } from "./keys.ts";

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
/** How long a session that was given up waits for the jobs that it has in work. */
const OLD_SESSION_MS = 60_000;
/** How many parked jobs are read at once. */
const PARKED_PAGE = 500;

export interface BeeQueueOptions {
  url: string;
  log?: Pick<Logger, "warn">;
  /** Shorter in tests that wait for it. All workers of one Redis must have the same. */
  stallMs?: number;
}

type Handle = (delivery: Delivery) => Promise<void>;

/** Bee-Queue, made to outlive what happens to its connection: see BeeSession. */
export class BeeQueue implements JobQueue {
  private readonly options: BeeQueueOptions & { stallMs: number };
  private readonly connection: RedisConnection;
  private readonly stopping = new AbortController();
  private readonly inWork = new Map<string, Promise<void>>();
  private readonly held: (() => void)[] = [];
  private readonly closings = new Set<Promise<void>>();
  private session: BeeSession | undefined;
  private graceMs = OLD_SESSION_MS;
  private delivered = 0;
  private looped: Promise<void> | undefined;

  constructor(options: BeeQueueOptions) {
    this.options = { stallMs: STALL_MS, ...options };
    this.connection = new RedisConnection(options.url);
  }

  process(concurrency: number, handle: Handle): void {
    if (this.looped !== undefined) throw new Error("process was called before");
    this.looped = this.loop(concurrency, (job) => this.deliver(job, concurrency, handle));
  }

  async stop(graceMs: number): Promise<void> {
    this.graceMs = graceMs;
    this.stopping.abort();
    this.close(this.session);
    const waited = new AbortController();
    const ended = Promise.resolve(this.looped).then(() => Promise.all(this.closings));
    await Promise.race([ended, pause(graceMs, waited.signal)]);
    waited.abort();
    this.connection.stop();
  }

  async listParked(limit: number): Promise<{ id: string; data: unknown; error: string }[]> {
    return this.connection.use(async (redis) => {
      let oldest: { id: string; data: unknown; error: string; createMs: number }[] = [];
      let cursor = "0";
      do {
        const [next, ids] = await redis.sscan(FAILED, cursor, "COUNT", PARKED_PAGE);
        cursor = next;
        const found = ids.length === 0 ? [] : await redis.hmget(JOBS, ...ids);
        found.forEach((json, at) => {
          if (json === null) return;
          const { data, options } = parseJob(json);
          const error = options.stacktraces[0]?.split("\n")[0] ?? "";
          oldest.push({ id: ids[at]!, data, error, createMs: options.timestamp });
        });
        // A scan may tell an id twice.
        oldest = [...new Map(oldest.map((job) => [job.id, job])).values()]
          .sort((one, other) => one.createMs - other.createMs)
          .slice(0, limit);
      } while (cursor !== "0");
      return oldest.map(({ id, data, error }) => ({ id, data, error }));
    });
  }

  async requeue(id: string): Promise<boolean> {
    return this.connection.use(async (redis) => {
      const json = await redis.hget(JOBS, id);
      if (json === null) return false;
      return (await redis.requeue(FAILED, JOBS, WAITING, id, renewJob(parseJob(json)))) === 1;
    });
  }

  async dropParked(pick: (ids: string[]) => Promise<string[]>): Promise<number> {
    let dropped = 0;
    let cursor = "0";
    do {
      const [next, ids] = await this.connection.use((redis) =>
        redis.sscan(FAILED, cursor, "COUNT", PARKED_PAGE),
      );
      cursor = next;
      const picked = ids.length === 0 ? [] : await pick(ids);
      if (picked.length === 0) continue;
      const reply = await this.connection.use((redis) => redis.drop(FAILED, JOBS, ...picked));
      dropped += reply as number;
    } while (cursor !== "0");
    return dropped;
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
        this.session = new BeeSession(this.options);
        await this.session.start(concurrency, handle);
        error = await this.lookAfter(this.session, concurrency);
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
  private async lookAfter(session: BeeSession, concurrency: number): Promise<unknown> {
    const over = new AbortController();
    const reason = session.trouble.finally(() => over.abort());
    let badLooks = 0;
    for (;;) {
      const before = this.delivered;
      await pause(this.options.stallMs / LOOKS_PER_STALL, over.signal);
      if (over.signal.aborted) return reason;
      await session.recover();
      const waiting = await this.clearGhosts();
      const deaf = waiting > 0 && this.delivered === before && this.inWork.size < concurrency;
      badLooks = deaf || session.lostPlaces > concurrency / 2 ? badLooks + 1 : 0;
      if (badLooks >= BAD_LOOKS_MAX) session.giveUp(deaf ? "no job comes" : "places were lost");
    }
  }

  private async clearGhosts(): Promise<number> {
    try {
      const reply = await this.connection.use((redis) =>
        redis.ghosts(ACTIVE, JOBS, WAITING, GHOSTS_MAX),
      );
      return (reply as [number, number])[1];
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
      if (this.inWork.size < concurrency) break;
      await new Promise<void>((resolve) => this.held.push(resolve));
    }
    const work = handle(job).finally(() => {
      this.inWork.delete(job.id);
      this.held.shift()?.();
    });
    this.inWork.set(job.id, work);
    return work;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
