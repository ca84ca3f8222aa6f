import { JOB_BACKOFF_MS, JOB_TRIES_MAX } from "../../core/limits.ts";
import type { Delivery, JobQueue } from "../../core/ports.ts";
import type { IntakeDb } from "./intake-db.ts";

/** Jobs read in one turn of the event loop. */
const TAKE_MAX = 250;
/** The pause before a try again where the file could not be read or written. */
const AWAY_MS = 1_000;

type Handle = (delivery: Delivery) => Promise<void>;

interface Row {
  seq: number;
  id: string;
  data: string;
  tries: number;
  due_ms: number;
}

/**
 * The jobs of intake.db. Which of them are in work is known in memory alone, so after a crash all
 * are handed out again.
 */
export class SqliteQueue implements JobQueue {
  private readonly db: IntakeDb;
  private readonly now: () => number;
  private readonly sql: ReturnType<typeof prepareQueue>;
  private work: { concurrency: number; handle: Handle } | undefined;
  private stopped = false;
  private inWork = 0;
  /** The last job that was handed out, or is in `later`. */
  private after = 0;
  /** Jobs up to `after` that are to come again, now or at a time. */
  private readonly again: number[] = [];
  private readonly later = new Set<NodeJS.Timeout>();
  private taking: NodeJS.Immediate | undefined;
  private idle: (() => void) | undefined;

  constructor(options: { db: IntakeDb; now?: () => number }) {
    this.db = options.db;
    this.now = options.now ?? Date.now;
    this.sql = prepareQueue(options.db);
    this.db.onCommit(() => this.wake());
  }

  process(concurrency: number, handle: Handle): void {
    if (this.work !== undefined) throw new Error("process was called before");
    this.work = { concurrency, handle };
    this.wake();
  }

  async stop(graceMs: number): Promise<void> {
    this.stopped = true;
    clearImmediate(this.taking);
    for (const timer of this.later) clearTimeout(timer);
    if (this.inWork === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.idle = resolve;
      timer = setTimeout(resolve, graceMs);
    });
    clearTimeout(timer);
  }

  async listParked(limit: number): Promise<{ id: string; data: unknown; error: string }[]> {
    return this.db.read(() => this.sql.parked(limit));
  }

  async requeue(id: string): Promise<boolean> {
    const seq = await this.db.write(() => this.sql.requeue(id));
    if (seq === undefined) return false;
    if (seq <= this.after) this.again.push(seq);
    this.wake();
    return true;
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
      dropped += await this.db.write(() => picked.reduce((sum, id) => sum + this.sql.drop(id), 0));
    }
  }

  private wake(): void {
    if (this.work === undefined || this.stopped) return;
    this.taking ??= setImmediate(() => {
      this.taking = undefined;
      try {
        this.take(this.work!);
      } catch {
        // The file cannot be read just now; nothing was handed out.
        this.later.add(setTimeout(() => this.wake(), AWAY_MS));
      }
    });
  }

  private take({ concurrency, handle }: { concurrency: number; handle: Handle }): void {
    const room = Math.min(concurrency - this.inWork, TAKE_MAX);
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

  private async run(row: Row, handle: Handle): Promise<void> {
    this.inWork++;
    try {
      const error = await errorOf(() => handle({ id: row.id, data: row.data }));
      if (error === undefined) await this.db.write(() => this.sql.remove(row.seq));
      else await this.failed(row, error);
    } catch {
      // Its outcome is not on disk, so the job comes again; handling it again changes nothing.
      this.comeAgain(row.seq, AWAY_MS);
    } finally {
      this.inWork--;
      if (this.inWork === 0) this.idle?.();
      this.wake();
    }
  }

  private async failed({ seq, tries }: Row, error: string): Promise<void> {
    if (tries + 1 >= JOB_TRIES_MAX) {
      await this.db.write(() => this.sql.park(seq, error));
      return;
    }
    const pauseMs = JOB_BACKOFF_MS * 2 ** tries;
    await this.db.write(() => this.sql.retry(seq, this.now() + pauseMs));
    this.comeAgain(seq, pauseMs);
  }

  private comeAgain(seq: number, pauseMs: number): void {
    if (this.stopped) return;
    const timer = setTimeout(() => {
      this.later.delete(timer);
      this.again.push(seq);
      this.wake();
    }, pauseMs);
    this.later.add(timer);
  }
}

/** What went wrong, undefined where nothing did. */
async function errorOf(work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return String(error);
  }
}

function prepareQueue(db: IntakeDb) {
  const columns = "seq, id, data, tries, due_ms";
  const jobsAfter = db.prepare(
    `SELECT ${columns} FROM jobs WHERE seq > ? AND parked = 0 ORDER BY seq LIMIT ?`,
  );
  const job = db.prepare(`SELECT ${columns} FROM jobs WHERE seq = ? AND parked = 0`);
  const remove = db.prepare("DELETE FROM jobs WHERE seq = ?");
  const count = db.prepare("UPDATE ledger SET jobs = jobs - 1");
  const retry = db.prepare("UPDATE jobs SET tries = tries + 1, due_ms = ? WHERE seq = ?");
  const park = db.prepare("UPDATE jobs SET tries = tries + 1, parked = 1, error = ? WHERE seq = ?");
  const parked = db.prepare(
    "SELECT id, data, error FROM jobs WHERE parked = 1 ORDER BY create_ms, seq LIMIT ?",
  );
  const parkedAfter = db.prepare(
    "SELECT seq, id FROM jobs WHERE parked = 1 AND seq > ? ORDER BY seq LIMIT ?",
  );
  const drop = db.prepare("DELETE FROM jobs WHERE id = ? AND parked = 1");
  const requeue = db.prepare(`
    UPDATE jobs SET parked = 0, tries = 0, due_ms = 0, error = NULL
    WHERE id = ? AND parked = 1 RETURNING seq`);

  return {
    jobsAfter: (seq: number, limit: number) => jobsAfter.all(seq, limit) as unknown as Row[],
    job: (seq: number) => job.get(seq) as Row | undefined,
    remove: (seq: number) => {
      remove.run(seq);
      count.run();
    },
    retry: (seq: number, dueMs: number) => retry.run(dueMs, seq),
    park: (seq: number, error: string) => park.run(error, seq),
    parked: (limit: number) => parked.all(limit) as { id: string; data: string; error: string }[],
    parkedAfter: (seq: number, limit: number) =>
      parkedAfter.all(seq, limit) as { seq: number; id: string }[],
    drop: (id: string) => {
      const dropped = Number(drop.run(id).changes);
      if (dropped > 0) count.run();
      return dropped;
    },
    requeue: (id: string) => (requeue.get(id) as { seq: number } | undefined)?.seq,
  };
}
