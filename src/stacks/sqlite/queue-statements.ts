import type { IntakeDb } from "./intake-db.ts";

/** A job as the queue takes it. */
export interface JobRow {
  seq: number;
  id: string;
  data: string;
  tries: number;
  due_ms: number;
  level: number;
}

/** A job with all that is known of it. */
export interface WholeRow extends JobRow {
  parked: number;
  error: string | null;
}

/** Every statement of the queue, prepared once and named after what it does. */
export function prepareQueue(db: IntakeDb) {
  const columns = "seq, id, data, tries, due_ms, level";
  const jobsAfter = db.prepare(`
    SELECT ${columns} FROM jobs WHERE seq > ? AND parked = 0 AND level = 0 ORDER BY seq LIMIT ?`);
  const job = db.prepare(`SELECT ${columns} FROM jobs WHERE seq = ? AND parked = 0 AND level = 0`);
  const find = db.prepare(`SELECT ${columns}, parked, error FROM jobs WHERE id = ?`);
  const remove = db.prepare("DELETE FROM jobs WHERE seq = ?");
  const count = db.prepare("UPDATE ledger SET jobs = jobs - 1");
  const retry = db.prepare(`
    UPDATE jobs SET tries = tries + 1, due_ms = ?, error = ?, level = 0, tried = 0
    WHERE seq = ?`);
  const park = db.prepare(`
    UPDATE jobs SET tries = tries + 1, parked = 1, error = ?, level = 0, tried = 0
    WHERE seq = ?`);
  const parked = db.prepare(`
    SELECT ${columns}, parked, error FROM jobs WHERE parked = 1 ORDER BY create_ms, seq LIMIT ?`);
  // One that ended its process runs alone from the start.
  const requeue = db.prepare(`
    UPDATE jobs SET parked = 0, tries = 0, due_ms = 0, error = NULL,
      level = CASE WHEN level > 2 THEN 2 ELSE 0 END
    WHERE id = ? AND parked = 1 RETURNING seq, level`);
  const parkedAfter = db.prepare(
    "SELECT seq, id FROM jobs WHERE parked = 1 AND seq > ? ORDER BY seq LIMIT ?",
  );
  const drop = db.prepare("DELETE FROM jobs WHERE id = ? AND parked = 1");
  const counts = db.prepare(`
    SELECT (SELECT jobs FROM ledger) AS jobs,
      (SELECT COUNT(*) FROM jobs WHERE parked = 1) AS parked,
      (SELECT COUNT(*) FROM jobs WHERE level > 0 AND parked = 0) AS suspects,
      (SELECT COUNT(*) FROM jobs WHERE due_ms > ?1 AND due_ms > 0 AND parked = 0) AS delayed`);
  const oldest = db.prepare("SELECT create_ms FROM jobs WHERE parked = 0 ORDER BY seq LIMIT 1");

  return {
    oldest: () => (oldest.get() as { create_ms: number } | undefined)?.create_ms,
    jobsAfter: (seq: number, limit: number) => jobsAfter.all(seq, limit) as unknown as JobRow[],
    job: (seq: number) => job.get(seq) as JobRow | undefined,
    find: (id: string) => find.get(id) as WholeRow | undefined,
    /** A job that is gone already, because two ended it, is counted once. */
    remove: (seq: number) => {
      if (remove.run(seq).changes === 1) count.run();
    },
    retry: (seq: number, given: { dueMs: number; error: string }) =>
      retry.run(given.dueMs, given.error, seq),
    park: (seq: number, error: string) => park.run(error, seq),
    parked: (limit: number) => parked.all(limit) as unknown as WholeRow[],
    requeue: (id: string) => requeue.get(id) as { seq: number; level: number } | undefined,
    parkedAfter: (seq: number, limit: number) =>
      parkedAfter.all(seq, limit) as { seq: number; id: string }[],
    drop: (id: string) => {
      const dropped = drop.run(id).changes === 1;
      if (dropped) count.run();
      return dropped;
    },
    counts: (nowMs: number) =>
      counts.get(nowMs) as Record<"jobs" | "parked" | "suspects" | "delayed", number>,
  };
}
