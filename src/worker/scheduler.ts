import { setTimeout as sleep } from "node:timers/promises";
import cronParser from "cron-parser";
import { type Job as ScheduledJob, scheduleJob } from "node-schedule";
import type { Numbering } from "../core/numbering.ts";
import type { Stack } from "../core/ports.ts";
import { isUnavailable } from "../errors.ts";
import type { Events } from "../events.ts";
import type { Logger } from "../log.ts";
import type { Process } from "../process.ts";
import { repairIndex, syncCounts } from "./chores.ts";
import { expireMessages, purge } from "./purge.ts";
import { Reseeding } from "./reseed.ts";

/** A tick is taken once: this long nobody else may take the same one. */
const LEASE_MS = 10 * 60_000;

/** How long a chore in work may take to end when the scheduler stops. */
const CHORE_GRACE_MS = 3_000;

/** How often a scheduler looks again for a missed tick that another one may be making up for. */
const LOOK_AGAIN_MS = 15_000;

export interface SchedulerOptions {
  /** When counts are copied, as a cron line in UTC; five fields, or six with seconds first. */
  syncCron: string;
  /** When the index is repaired, and counters are seeded after a loss. */
  repairCron: string;
  /** When what was deleted is purged. */
  purgeCron: string;
  /** When messages are deleted that are older than `retentionDays`; 0 keeps them for ever. */
  retentionCron: string;
  retentionDays: number;
  /** Shorter in tests that wait for them. */
  leaseMs?: number;
  lookAgainMs?: number;
  /** The clock by which a tick is found to be missed. */
  now?: () => Date;
}

type Parts = Omit<Stack, "name" | "stop"> & {
  numbering: Numbering;
  log: Logger;
  events?: Events | undefined;
};

interface Chore {
  name: string;
  /** A cron line in UTC. */
  rule: string;
  /** Returns how much it did. */
  run(): Promise<number>;
}

/** The last moment, up to `now`, at which a cron line was due. */
export function lastTick(rule: string, now: Date): Date {
  // The line is due at `now` itself too, and `prev` looks at what is before.
  const currentDate = new Date(now.getTime() + 1);
  return cronParser.parseExpression(rule, { currentDate, tz: "UTC" }).prev().toDate();
}

/**
 * Runs the chores on a clock. Several schedulers may run: each tick has a name of its own, the date
 * it was planned for, and who acquires that name does it. A tick at which no scheduler ran is made
 * up for, once, by the next that starts: docs/adr/0070-missed-ticks-are-made-up-for.md.
 */
export class Scheduler implements Process {
  private readonly parts: Parts;
  private readonly options: Required<SchedulerOptions>;
  private readonly stopping = new AbortController();
  private jobs: ScheduledJob[] = [];
  private readonly running = new Map<string, Promise<void>>();
  private readonly catchingUp: Promise<void>[] = [];

  constructor(parts: Parts, options: SchedulerOptions) {
    this.parts = parts;
    this.options = {
      leaseMs: LEASE_MS,
      lookAgainMs: LOOK_AGAIN_MS,
      now: () => new Date(),
      ...options,
    };
  }

  async start(): Promise<void> {
    this.schedule("sync-counts", this.options.syncCron, () =>
      syncCounts(this.parts, this.options.now),
    );
    const { repairCron, purgeCron, retentionCron, retentionDays, now } = this.options;
    this.schedule("repair-index", repairCron, () => this.repair());
    const reseeding = new Reseeding(this.parts);
    this.schedule("reseed-counters", repairCron, () => reseeding.run());
    this.schedule("purge", purgeCron, () => purge(this.parts, now()));
    if (retentionDays === 0) return;
    this.schedule("retention", retentionCron, () =>
      expireMessages(this.parts, { days: retentionDays, now: now() }),
    );
  }

  /** No more ticks; a chore in work may be cut anywhere without harm, so it has little time. */
  async stop(): Promise<void> {
    this.stopping.abort();
    for (const job of this.jobs) job.cancel();
    this.jobs = [];
    const ended = Promise.all([...this.running.values(), ...this.catchingUp]);
    await Promise.race([ended, sleep(CHORE_GRACE_MS, undefined, { ref: false })]);
  }

  private schedule(name: string, rule: string, run: () => Promise<number>): void {
    const chore = { name, rule, run };
    const job = scheduleJob({ rule, tz: "UTC" }, (fireDate) => void this.runTick(chore, fireDate));
    if (job === null) throw new Error(`no date ever fits the cron line ${rule}`);
    this.jobs.push(job);
    this.catchingUp.push(this.catchUp(chore));
  }

  /** A chore that is slower than its clock is not started twice. */
  private runTick(chore: Chore, date: Date): Promise<void> {
    const present = this.running.get(chore.name);
    if (present !== undefined) return present;
    const run = this.tick(chore, date).finally(() => this.running.delete(chore.name));
    this.running.set(chore.name, run);
    return run;
  }

  private async tick({ name, run }: Chore, date: Date): Promise<void> {
    const { lease, log, upkeep, events } = this.parts;
    let beganMs: number | undefined;
    try {
      if (!(await lease.acquire(`${name}:${date.toISOString()}`, this.options.leaseMs))) return;
      beganMs = performance.now();
      const beganTime = this.options.now();
      const done = await run();
      await upkeep.noteChoreRun({ name, beganTime });
      events?.chore({ name, ms: performance.now() - beganMs, done });
      if (done > 0) log.info({ chore: name, done }, "chore done");
    } catch (error) {
      const ms = beganMs === undefined ? 0 : performance.now() - beganMs;
      events?.chore({ name, ms, done: undefined });
      const level = isUnavailable(error) ? "warn" : "error";
      log[level]({ chore: name, err: error }, "chore failed; the next tick tries again");
    }
  }

  /**
   * Runs the chore at once where its last tick was missed. Who holds that tick's lease may be at it
   * or may have died over it, so this looks again until the tick is made up for.
   */
  private async catchUp(chore: Chore): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        const missed = await this.missedTick(chore);
        if (missed === undefined) return;
        await this.runTick(chore, missed);
        if ((await this.missedTick(chore)) === undefined) return;
      } catch (error) {
        this.parts.log.warn({ chore: chore.name, err: error }, "missed ticks cannot be told now");
      }
      await sleep(this.options.lookAgainMs, undefined, { signal }).catch(() => {});
    }
  }

  /** The last tick, where no run began since. A system that never ran a chore has missed none. */
  private async missedTick({ name, rule }: Chore): Promise<Date | undefined> {
    const { upkeep } = this.parts;
    const now = this.options.now();
    const last = (await upkeep.listChoreRuns()).find((run) => run.name === name);
    if (last === undefined) {
      await upkeep.noteChoreRun({ name, beganTime: now });
      return undefined;
    }
    const tick = lastTick(rule, now);
    return last.beganTime.getTime() < tick.getTime() ? tick : undefined;
  }

  private async repair(): Promise<number> {
    const { indexed, refused } = await repairIndex(this.parts);
    for (const refusal of refused) {
      this.parts.log.error(refusal, "a message cannot be indexed; the rest goes on");
    }
    return indexed;
  }
}
