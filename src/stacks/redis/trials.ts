import { randomUUID } from "node:crypto";
import type { Delivery } from "../../core/job-queue.ts";
import { JOB_TRIES_MAX, SUSPECT_MS_MAX, SUSPECTS_TOGETHER } from "../../core/limits.ts";
import { isUnavailable } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { RedisConnection } from "./connection.ts";
import { failJob, parkJob, parseJob } from "./job.ts";
import { DELAYED, FAILED, JOBS, SUSPECTS, TRIAL, TRIED } from "./keys.ts";
import { pause } from "./pause.ts";

/** Levels of suspects, see trial.lua: from this on they run alone, and from the next not at all. */
const ALONE_LEVEL = 2;
const GUILTY_LEVEL = ALONE_LEVEL + JOB_TRIES_MAX;
/** The trial is held anew so often in the time that it lasts. */
const HOLDS_PER_STALL = 4;
/** Tries to record what became of a suspect while Redis is away. */
const SETTLE_TRIES_MAX = 10;

type Handle = (delivery: Delivery) => Promise<void>;

/** How often a suspect's worker ended while it ran alone. */
export function stallsOf(level: number): number {
  return Math.max(0, level - ALONE_LEVEL);
}

/**
 * Tries suspects: jobs whose worker ended while they were in work. One worker at a time does, with
 * nothing else in work beside; so where this process ends, it is known which jobs ended it.
 */
export class Trials {
  private readonly connection: RedisConnection;
  private readonly worker = randomUUID();
  private readonly stallMs: number;
  private readonly stopping: AbortSignal;
  private readonly log: Pick<Logger, "error"> | undefined;

  constructor(parts: {
    connection: RedisConnection;
    stallMs: number;
    stopping: AbortSignal;
    log: Pick<Logger, "error"> | undefined;
  }) {
    this.log = parts.log;
    this.connection = parts.connection;
    this.stallMs = parts.stallMs;
    this.stopping = parts.stopping;
  }

  /** Makes the trial this worker's for a while, unless it is another's. */
  async hold(): Promise<boolean> {
    return (await this.step("hold")).own;
  }

  /** Gives the trial back; what was in work is charged with nothing. */
  async leave(): Promise<void> {
    await this.step("leave");
  }

  /**
   * Tries one group after the other, until none is left, a part is away, or the time is up. Nothing
   * else may be in work meanwhile.
   */
  async run(handle: Handle, untilMs: number): Promise<void> {
    while (!this.stopping.aborted && performance.now() < untilMs) {
      const { level, ids } = await this.step("take");
      if (ids.length === 0) return;
      if (level >= GUILTY_LEVEL) await Promise.all(ids.map((id) => this.park(id)));
      else if (!(await this.runGroup(ids, handle))) return;
    }
  }

  /** Notes that a job is done whose worker Bee-Queue does not let say so any more. */
  async done(id: string): Promise<void> {
    await this.settle(id, "done");
  }

  /** False where a part is away, so that the next group would fare no better. */
  private async runGroup(ids: string[], handle: Handle): Promise<boolean> {
    const found = await this.connection.use((redis) => redis.hmget(JOBS, ...ids));
    const over = new AbortController();
    const holding = setInterval(() => this.hold().catch(() => {}), this.stallMs / HOLDS_PER_STALL);
    try {
      const runs = ids.map((id, at) => this.runOne(id, found[at] ?? null, handle));
      // What has not ended by then stays noted as tried, so the next step charges it.
      const late = pause(SUSPECT_MS_MAX, over.signal).then(() => true);
      return await Promise.race([Promise.all(runs).then((goOn) => goOn.every(Boolean)), late]);
    } finally {
      over.abort();
      clearInterval(holding);
    }
  }

  private async runOne(id: string, json: string | null, handle: Handle): Promise<boolean> {
    if (json === null) {
      await this.settle(id, "done");
      return true;
    }
    const job = parseJob(json);
    try {
      await handle({ id, data: job.data, suspect: true });
    } catch (error) {
      if (isUnavailable(error)) {
        await this.settle(id, "excused");
        return false;
      }
      const failed = failJob(job, (error as Error).stack ?? String(error));
      const dueMs = failed.pauseMs === undefined ? "" : Date.now() + failed.pauseMs;
      await this.settle(id, "failed", failed.json, dueMs);
      return true;
    }
    await this.settle(id, "done");
    return true;
  }

  private async park(id: string): Promise<void> {
    const json = await this.connection.use((redis) => redis.hget(JOBS, id));
    const stalls = JOB_TRIES_MAX;
    const error = `its worker ended while it ran alone, ${stalls} times`;
    const parked = json === null ? "" : parkJob(parseJob(json), { error, stalls });
    await this.settle(id, "failed", parked, "");
    this.log?.error({ job: id }, `a job was parked: ${error}`);
  }

  /** Tries for a while, since a suspect that cannot say that it passed would be charged. */
  private async settle(id: string, ...outcome: (string | number)[]): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        const keys = [SUSPECTS, TRIED, JOBS, FAILED, DELAYED];
        await this.connection.use((redis) => redis.settle(...keys, id, ...outcome));
        return;
      } catch (error) {
        if (tries === SETTLE_TRIES_MAX || this.stopping.aborted) throw error;
        await pause(this.stallMs / HOLDS_PER_STALL, this.stopping);
      }
    }
  }

  private async step(
    word: "hold" | "take" | "leave",
  ): Promise<{ own: boolean; level: number; ids: string[] }> {
    const reply = await this.connection.use((redis) =>
      redis.trial(
        TRIAL,
        TRIED,
        SUSPECTS,
        JOBS,
        this.worker,
        this.stallMs,
        word,
        SUSPECTS_TOGETHER,
        GUILTY_LEVEL,
      ),
    );
    const [own, level = 0, ...ids] = reply as [number, number?, ...string[]];
    return { own: own === 1, level, ids };
  }
}
