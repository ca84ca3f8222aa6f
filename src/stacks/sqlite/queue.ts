import type { Delivery, JobCounts, JobQueue, JobReport } from "../../core/job-queue.ts";
import { JOB_BACKOFF_MS, JOB_TRIES_MAX, SUSPECT_MS_MAX } from "../../core/limits.ts";
import { isUnavailable } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { IntakeDb } from "./intake-db.ts";
import { type JobRow, prepareQueue, type WholeRow } from "./queue-statements.ts";
import { SqliteTrials, STALLED, stallsOf } from "./trials.ts";

/** Jobs read in one turn of the event loop. */
const TAKE_MAX = 250;
/** The pause before a try again where the file could not be read or written. */
const AWAY_MS = 1_000;
/** How long suspects wait for the jobs in work to end, and the pause where those do not. */
const DRAIN_MS = 5_000;
const TRIAL_PAUSE_MS = 30_000;

type Handle = (delivery: Delivery) => Promise<void>;

/**
 * The jobs of intake.db. Which of them are in work is known in memory alone, so after a crash all
 * are handed out again; the first ones as suspects, see SqliteTrials.
 */
export class SqliteQueue implements JobQueue {
  private readonly db: IntakeDb;
  private readonly now: () => number;
  private readonly sql: ReturnType<typeof prepareQueue>;
  private readonly trials: SqliteTrials;
  private readonly log: Pick<Logger, "warn" | "error"> | undefined;
  private work: { concurrency: number; handle: Handle } | undefined;
  private stopped = false;
  private readonly inWork = new Set<number>();
  /** True while suspects are in work, or wait for the jobs in work to end. */
  private gated = false;
  /** True where suspects may have come since the last look for them. */
  private suspected = false;
  /** The last job that was handed out, or is in `later`. */
  private after = 0;
  /** Jobs up to `after` that are to come again, now or at a time. */
  private readonly again: number[] = [];
  private readonly later = new Set<NodeJS.Timeout>();
  private taking: NodeJS.Immediate | undefined;
  private idle: (() => void) | undefined;

  constructor(options: {
    db: IntakeDb;
    log?: Pick<Logger, "warn" | "error">;
    now?: () => number;
  }) {
    this.log = options.log;
    this.db = options.db;
    this.now = options.now ?? Date.now;
    this.sql = prepareQueue(options.db);
    this.trials = new SqliteTrials(options.db);
    this.db.onCommit(() => this.wake());
  }

  process(concurrency: number, handle: Handle): void {
    if (this.work !== undefined) throw new Error("process was called before");
    this.work = { concurrency, handle };
    void this.begin(concurrency, handle);
  }

  async stop(graceMs: number): Promise<void> {
    this.stopped = true;
    clearImmediate(this.taking);
    for (const timer of this.later) clearTimeout(timer);
    if (this.work === undefined) return;
    const ended = await this.drain(graceMs);
    const written = ended ? this.trials.end() : this.trials.excuseAll();
    await written.catch(() => {});
  }

  async counts(): Promise<JobCounts> {
    const { jobs, parked, suspects, delayed } = this.db.read(() => this.sql.counts(this.now()));
    const inWork = this.gated ? 0 : this.inWork.size;
    const waiting = Math.max(0, jobs - parked - suspects - delayed - inWork);
    return { waiting, inWork, delayed, suspects, parked };
  }

  async oldestMs(): Promise<number | undefined> {
    return this.db.read(() => this.sql.oldest());
  }

  /** Nobody else can have the folder. */
  async attended(): Promise<boolean> {
    return this.work !== undefined && !this.stopped;
  }

  async find(id: string): Promise<JobReport | undefined> {
    const row = this.db.read(() => this.sql.find(id));
    return row && this.reportOf(row);
  }

  async listParked(limit: number): Promise<JobReport[]> {
    return this.db.read(() => this.sql.parked(limit)).map((row) => this.reportOf(row));
  }

  async requeue(id: string): Promise<boolean> {
    const row = await this.db.write(() => this.sql.requeue(id));
    if (row === undefined) return false;
    this.suspected ||= row.level > 0;
    if (row.level > 0) void this.trySuspects();
    else if (row.seq <= this.after) this.again.push(row.seq);
    this.wake();
    return true;
  }

  drop(id: string): Promise<boolean> {
    return this.db.write(() => this.sql.drop(id));
  }

  async dropParked(pick: (ids: string[]) => Promise<string[]>): Promise<number> {
    let dropped = 0;
    let after = 0;
    for (;;) {
      const page = this.db.read(() => this.sql.parkedAfter(after, TAKE_MAX));
      if (page.length === 0) return dropped;
      after = page[page.length - 1]!.seq;
      const picked = await pick(page.map((row) => row.id));
      if (picked.length === 0) continue;
      dropped += await this.db.write(() => picked.filter((id) => this.sql.drop(id)).length);
    }
  }

  private reportOf(row: WholeRow): JobReport {
    const { id, data, tries, error, level, due_ms: dueMs } = row;
    const report = { id, data, tries, stalls: stallsOf(level), error: error ?? "" };
    if (row.parked === 1) return { ...report, place: "parked", dueMs: undefined };
    if (level > 0) return { ...report, place: "suspect", dueMs: undefined };
    if (this.inWork.has(row.seq)) return { ...report, place: "in work", dueMs: undefined };
    if (dueMs > this.now()) return { ...report, place: "delayed", dueMs };
    return { ...report, place: "waiting", dueMs: undefined };
  }

  private async begin(concurrency: number, handle: Handle): Promise<void> {
    this.gated = true;
    try {
      await this.trials.begin(concurrency, this.now());
    } catch {
      // Nothing may be handed out before it is on disk that it may be in work.
      this.comeBack(() => void this.begin(concurrency, handle), AWAY_MS);
      return;
    }
    this.gated = false;
    await this.trySuspects();
    this.wake();
  }

  private wake(): void {
    if (this.work === undefined || this.stopped || this.gated) return;
    this.taking ??= setImmediate(() => {
      this.taking = undefined;
      if (this.stopped || this.gated) return;
      try {
        this.take(this.work!);
      } catch {
        // The file cannot be read just now; nothing was handed out.
        this.comeBack(() => this.wake(), AWAY_MS);
      }
    });
  }

  private take({ concurrency, handle }: { concurrency: number; handle: Handle }): void {
    const room = Math.min(concurrency - this.inWork.size, TAKE_MAX);
    if (room <= 0) return;
    const seqs = this.again.slice(0, room);
    const rows = seqs.flatMap((seq) => this.sql.job(seq) ?? []);
    const fresh = this.sql.jobsAfter(this.after, room - rows.length);
    this.again.splice(0, seqs.length);
    for (const row of fresh) {
      this.after = row.seq;
      // A pause that the process before this one began.
      const pauseMs = row.due_ms - this.now();
      if (pauseMs > 0) this.comeAgain(row.seq, pauseMs);
      else rows.push(row);
    }
    for (const row of rows) void this.run(row, handle);
    if (fresh.length + rows.length > 0) this.wake();
  }

  /** Hands a job out and records what became of it; false where it is to be tried later. */
  private async run(row: JobRow, handle: Handle): Promise<boolean> {
    const suspect = row.level > 0;
    this.inWork.add(row.seq);
    try {
      const error = await errorOf(() => handle({ id: row.id, data: row.data, suspect }));
      if (error === undefined) await this.db.write(() => this.sql.remove(row.seq));
      else if (suspect && isUnavailable(error)) await this.trials.excuse(row.seq);
      else await this.failed(row, String(error));
      return error === undefined || !isUnavailable(error);
    } catch {
      // Its outcome is not on disk, so the job comes again; handling it again changes nothing.
      if (!suspect) this.comeAgain(row.seq, AWAY_MS);
      return false;
    } finally {
      this.inWork.delete(row.seq);
      if (this.inWork.size === 0) this.idle?.();
      this.wake();
    }
  }

  private async failed({ seq, tries }: JobRow, error: string): Promise<void> {
    if (tries + 1 >= JOB_TRIES_MAX) {
      await this.db.write(() => this.sql.park(seq, error));
      return;
    }
    const pauseMs = JOB_BACKOFF_MS * 2 ** tries;
    await this.db.write(() => this.sql.retry(seq, { dueMs: this.now() + pauseMs, error }));
    // A suspect that was not reached yet is reached in its turn.
    if (seq <= this.after) this.comeAgain(seq, pauseMs);
  }

  /** Runs suspects, with nothing else in work, until none is left or a part is away. */
  private async trySuspects(): Promise<void> {
    if (this.work === undefined || this.stopped || this.gated) return;
    this.gated = true;
    let pauseMs: number | undefined;
    try {
      if (await this.drain(DRAIN_MS)) pauseMs = await this.runGroups(this.work.handle);
      else pauseMs = TRIAL_PAUSE_MS;
    } catch {
      pauseMs = AWAY_MS;
    }
    this.gated = false;
    if (pauseMs !== undefined) this.comeBack(() => void this.trySuspects(), pauseMs);
    else if (this.suspected) void this.trySuspects();
    this.wake();
  }

  /** Says after which pause to go on, undefined where none is left. */
  private async runGroups(handle: Handle): Promise<number | undefined> {
    while (!this.stopped) {
      this.suspected = false;
      const { group, parked } = await this.trials.take();
      for (const id of parked) this.log?.error({ job: id }, `a job was parked: ${STALLED}`);
      if (group.length === 0) break;
      // What has not ended by then stays noted as tried, so the next step charges it.
      const runs = Promise.all(group.map((row) => this.run(row, handle)));
      const goOn = await within(SUSPECT_MS_MAX, runs);
      if (goOn?.includes(false)) return AWAY_MS;
    }
    return undefined;
  }

  /** Waits until nothing is in work; false where that takes too long. */
  private async drain(maxMs: number): Promise<boolean> {
    if (this.inWork.size > 0) {
      const idle = new Promise<void>((resolve) => {
        this.idle = resolve;
      });
      await within(maxMs, idle);
    }
    return this.inWork.size === 0;
  }

  private comeAgain(seq: number, pauseMs: number): void {
    this.comeBack(() => {
      this.again.push(seq);
      this.wake();
    }, pauseMs);
  }

  private comeBack(step: () => void, pauseMs: number): void {
    if (this.stopped) return;
    const timer = setTimeout(() => {
      this.later.delete(timer);
      step();
    }, pauseMs);
    this.later.add(timer);
  }
}

/** What went wrong, undefined where nothing did. */
async function errorOf(work: () => Promise<void>): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error ?? new Error("unknown");
  }
}

/** What the work comes to, undefined where it takes longer. */
async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
