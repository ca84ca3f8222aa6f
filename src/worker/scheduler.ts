import { type Job as ScheduledJob, scheduleJob } from "node-schedule";
import type { Stack } from "../core/ports.ts";
import { isUnavailable } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Process } from "../process.ts";
import { repairIndex, syncCounts } from "./chores.ts";
import { expireMessages, purge } from "./purge.ts";

/** A tick is taken once: this long nobody else may take the same one. */
const LEASE_MS = 10 * 60_000;

export interface SchedulerOptions {
  /** When counts are copied, as a cron line in UTC; five fields, or six with seconds first. */
  syncCron: string;
  /** When the index is repaired. */
  repairCron: string;
  /** When what was deleted is purged. */
  purgeCron: string;
  /** When messages are deleted that are older than `retentionDays`; 0 keeps them for ever. */
  retentionCron: string;
  retentionDays: number;
}

type Parts = Omit<Stack, "name" | "stop"> & { log: Logger };

/**
 * Runs the chores on a clock. Several schedulers may run: each tick has a name of its own, the date
 * it was planned for, and who acquires that name does it.
 */
export class Scheduler implements Process {
  private readonly parts: Parts;
  private readonly options: SchedulerOptions;
  private jobs: ScheduledJob[] = [];
  private readonly running = new Map<string, Promise<void>>();

  constructor(parts: Parts, options: SchedulerOptions) {
    this.parts = parts;
    this.options = options;
  }

  async start(): Promise<void> {
    this.schedule("sync-counts", this.options.syncCron, () =>
      syncCounts(this.parts, () => new Date()),
    );
    const { repairCron, purgeCron, retentionCron, retentionDays } = this.options;
    this.schedule("repair-index", repairCron, () => repairIndex(this.parts));
    this.schedule("purge", purgeCron, () => purge(this.parts, new Date()));
    if (retentionDays === 0) return;
    this.schedule("retention", retentionCron, () =>
      expireMessages(this.parts, { days: retentionDays, now: new Date() }),
    );
  }

  /** No more ticks; a chore in work ends by itself, and may be cut anywhere without harm. */
  async stop(): Promise<void> {
    for (const job of this.jobs) job.cancel();
    this.jobs = [];
    await Promise.all(this.running.values());
  }

  private schedule(name: string, rule: string, chore: () => Promise<number>): void {
    const job = scheduleJob({ rule, tz: "UTC" }, (fireDate) => {
      // A chore that is slower than its clock is not started twice.
      if (this.running.has(name)) return;
      const run = this.tick(name, fireDate, chore).finally(() => this.running.delete(name));
      this.running.set(name, run);
    });
    if (job === null) throw new Error(`no date ever fits the cron line ${rule}`);
    this.jobs.push(job);
  }

  private async tick(name: string, date: Date, chore: () => Promise<number>): Promise<void> {
    const { lease, log } = this.parts;
    try {
      if (!(await lease.acquire(`${name}:${date.toISOString()}`, LEASE_MS))) return;
      const done = await chore();
      if (done > 0) log.info({ chore: name, done }, "chore done");
    } catch (error) {
      const level = isUnavailable(error) ? "warn" : "error";
      log[level]({ chore: name, err: error }, "chore failed; the next tick tries again");
    }
  }
}
