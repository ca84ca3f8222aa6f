import { JOB_TRIES_MAX, SUSPECTS_TOGETHER } from "../../core/limits.ts";
import type { IntakeDb } from "./intake-db.ts";
import type { JobRow } from "./queue-statements.ts";

/**
 * Levels of suspects: 1 runs together with others of this level; 2 runs alone, because its process
 * ended while it ran with others, or for want of others; and one more for each time that its
 * process ended then. From the last level on it is not run at all.
 */
const ALONE_LEVEL = 2;
const GUILTY_LEVEL = ALONE_LEVEL + JOB_TRIES_MAX;

/** Why such a job is parked. */
export const STALLED = `its worker ended while it ran alone, ${JOB_TRIES_MAX} times`;

/** How often a suspect's process ended while it ran alone. */
export function stallsOf(level: number): number {
  return Math.max(0, level - ALONE_LEVEL);
}

/** Which jobs are suspects, and which of them are in work: on disk before they are. */
export class SqliteTrials {
  private readonly db: IntakeDb;
  private readonly sql: ReturnType<typeof prepareTrials>;

  constructor(db: IntakeDb) {
    this.db = db;
    this.sql = prepareTrials(db);
  }

  /**
   * Makes suspects of the jobs that the process before this one may have had in work when it ended:
   * jobs are handed out in their order, so those are among the first; or they were to come again.
   */
  begin(concurrency: number, nowMs: number): Promise<void> {
    return this.db.write(() => {
      this.sql.suspect(this.sql.inWork(), nowMs);
      this.sql.setInWork(concurrency);
    });
  }

  /** Notes that nothing is in work any more, so that nothing is suspected at the next start. */
  end(): Promise<void> {
    return this.db.write(() => this.sql.setInWork(0));
  }

  /**
   * Takes the next group, which is noted as in work from here on. What was noted before is charged
   * with the end of its process; who is out of tries by that is parked.
   */
  take(): Promise<{ group: JobRow[]; parked: string[] }> {
    return this.db.write(() => {
      this.sql.charge();
      const parked = this.sql.parkGuilty(STALLED);
      const rows = this.sql.suspects(SUSPECTS_TOGETHER);
      const alone = rows[0]?.level !== 1 || rows[1]?.level !== 1;
      const group = alone ? rows.slice(0, 1) : rows.filter((row) => row.level === 1);
      for (const { seq, level } of group) {
        this.sql.tried(seq, alone ? Math.max(ALONE_LEVEL, level) : level);
      }
      return { group, parked };
    });
  }

  /** Charges nothing to a suspect that is let go. */
  excuse(seq: number): Promise<void> {
    return this.db.write(() => this.sql.excuse(seq));
  }

  /** Charges nothing to those that are in work. */
  excuseAll(): Promise<void> {
    return this.db.write(() => this.sql.excuseAll());
  }
}

function prepareTrials(db: IntakeDb) {
  const inWork = db.prepare("SELECT in_work FROM ledger");
  const setInWork = db.prepare("UPDATE ledger SET in_work = ?");
  const suspect = db.prepare(`
    UPDATE jobs SET level = 1 WHERE ?1 > 0 AND level = 0 AND parked = 0 AND (
      seq IN (SELECT seq FROM jobs WHERE parked = 0 AND tries = 0 ORDER BY seq LIMIT ?1)
      OR seq IN (SELECT seq FROM jobs WHERE due_ms > 0 AND due_ms <= ?2 AND parked = 0))`);
  const charge = db.prepare("UPDATE jobs SET level = level + 1, tried = 0 WHERE tried = 1");
  const parkGuilty = db.prepare(`
    UPDATE jobs SET parked = 1, error = ? WHERE level >= ${GUILTY_LEVEL} AND parked = 0
    RETURNING id`);
  const suspects = db.prepare(`
    SELECT seq, id, data, tries, due_ms, level FROM jobs WHERE level > 0 AND parked = 0
    ORDER BY level, seq LIMIT ?`);
  const tried = db.prepare("UPDATE jobs SET tried = 1, level = ? WHERE seq = ?");
  const excuse = db.prepare("UPDATE jobs SET tried = 0 WHERE seq = ?");
  const excuseAll = db.prepare("UPDATE jobs SET tried = 0 WHERE tried = 1");

  return {
    inWork: () => (inWork.get() as { in_work: number }).in_work,
    setInWork: (jobs: number) => void setInWork.run(jobs),
    suspect: (jobs: number, nowMs: number) => suspect.run(jobs, nowMs),
    charge: () => charge.run(),
    parkGuilty: (error: string) => (parkGuilty.all(error) as { id: string }[]).map(({ id }) => id),
    suspects: (limit: number) => suspects.all(limit) as unknown as JobRow[],
    tried: (seq: number, level: number) => tried.run(level, seq),
    excuse: (seq: number) => void excuse.run(seq),
    excuseAll: () => void excuseAll.run(),
  };
}
