import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { ParleyError } from "../../errors.ts";

/** What the steps in one transaction weigh; more would keep the process from all else too long. */
const GROUP_MAX = 1_000;

/** Each step makes the next version of the file; a new file goes through all of them. */
const SCHEMA = [
  `
  -- One row. \`jobs\` is how many rows that table has, which SQLite does not know without counting.
  CREATE TABLE ledger (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    epoch INTEGER NOT NULL, accepts INTEGER NOT NULL, jobs INTEGER NOT NULL
  ) STRICT;
  INSERT INTO ledger VALUES (1, 0, 0, 0);

  -- A ceiling counts in its own epoch only. \`changed\` is the last change not copied to the rows.
  CREATE TABLE counters (
    key TEXT PRIMARY KEY, value INTEGER NOT NULL,
    ceiling INTEGER, ceiling_epoch INTEGER, changed TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX counters_changed ON counters (key) WHERE changed IS NOT NULL;

  -- Request ids, in slices of time that are forgotten as a whole.
  CREATE TABLE slices (start_ms INTEGER PRIMARY KEY, ids INTEGER NOT NULL) STRICT;
  CREATE TABLE requests (
    start_ms INTEGER NOT NULL, field BLOB NOT NULL,
    number INTEGER NOT NULL, create_ms INTEGER NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (start_ms, field)
  ) STRICT, WITHOUT ROWID;

  -- In the order of \`seq\`, which is never used again, so that the queue can go on from the last.
  CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, data TEXT NOT NULL,
    create_ms INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
    due_ms INTEGER NOT NULL DEFAULT 0, parked INTEGER NOT NULL DEFAULT 0, error TEXT
  ) STRICT;
  CREATE INDEX jobs_parked ON jobs (create_ms, seq) WHERE parked = 1;
`,
  `
  -- How many jobs may have been in work when the process ended, 0 where it ended in order.
  ALTER TABLE ledger ADD COLUMN in_work INTEGER NOT NULL DEFAULT 0;
  -- 0 for a job that is no suspect, see trials.ts; \`tried\` is 1 while it is in work as one.
  ALTER TABLE jobs ADD COLUMN level INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE jobs ADD COLUMN tried INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX jobs_suspect ON jobs (level, seq) WHERE level > 0 AND parked = 0;
  CREATE INDEX jobs_tried ON jobs (seq) WHERE tried = 1;
  CREATE INDEX jobs_due ON jobs (due_ms) WHERE due_ms > 0 AND parked = 0;
`,
  `
  -- In which epoch a counter was seeded last. It outlives the counter's row, so that one that was
  -- taken away does not begin again at the start of that epoch.
  CREATE TABLE seeds (key TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO seeds SELECT key, ceiling_epoch FROM counters WHERE ceiling_epoch IS NOT NULL;
  -- Marks of removed counters. One that is closed must be known to be lost after a restart too.
  CREATE TABLE marks (key TEXT PRIMARY KEY, mark TEXT NOT NULL) STRICT, WITHOUT ROWID;
`,
  `
  -- External ids of chats, and the number that was last accepted with each.
  CREATE TABLE external_ids (
    application TEXT NOT NULL, external_id TEXT NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (application, external_id)
  ) STRICT, WITHOUT ROWID;
`,
];

interface Step {
  work: () => unknown;
  weight: number;
  resolve: (result: unknown) => void;
  reject: (error: unknown) => void;
}

/**
 * The file of counters and jobs, on the one connection that this process has to it. Steps that are
 * asked for in one turn of the event loop share a transaction, so one fsync, and are answered after
 * its commit. A step that fails is undone alone.
 */
export class IntakeDb {
  private readonly db: DatabaseSync;
  private readonly waiting: Step[] = [];
  private scheduled: NodeJS.Immediate | undefined;
  private readonly listeners: (() => void)[] = [];
  private readonly statements: Record<
    "begin" | "commit" | "save" | "release" | "undo",
    StatementSync
  >;

  /** Opens the folder for this process alone; throws where another process has it. */
  constructor(dataDir: string) {
    mkdirSync(dataDir, { recursive: true });
    this.db = new DatabaseSync(join(dataDir, "intake.db"), { timeout: 0 });
    try {
      lock(this.db, dataDir);
      createSchema(this.db, dataDir);
    } catch (error) {
      this.db.close();
      throw error;
    }
    this.statements = {
      begin: this.db.prepare("BEGIN IMMEDIATE"),
      commit: this.db.prepare("COMMIT"),
      save: this.db.prepare("SAVEPOINT step"),
      release: this.db.prepare("RELEASE step"),
      undo: this.db.prepare("ROLLBACK TO step"),
    };
  }

  prepare(sql: string): StatementSync {
    return this.db.prepare(sql);
  }

  /**
   * Runs a step that writes, in the next transaction. The step must not be asynchronous. `weight`
   * says how many steps it is as long as.
   */
  write<T>(work: () => T, weight = 1): Promise<T> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ work, weight, resolve: resolve as Step["resolve"], reject });
      this.scheduled ??= setImmediate(() => this.commitGroup());
    });
  }

  /** Runs a step that reads, now. No transaction is ever open when somebody can ask. */
  read<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw unavailable(error);
    }
  }

  /** Calls back after every commit. */
  onCommit(listener: () => void): void {
    this.listeners.push(listener);
  }

  close(): void {
    clearImmediate(this.scheduled);
    while (this.waiting.length > 0) this.commitGroup();
    clearImmediate(this.scheduled);
    this.db.close();
  }

  private commitGroup(): void {
    let weight = 0;
    const over = this.waiting.findIndex((step, at) => {
      weight += step.weight;
      return at > 0 && weight > GROUP_MAX;
    });
    const group = this.waiting.splice(0, over < 0 ? this.waiting.length : over);
    this.scheduled = this.waiting.length > 0 ? setImmediate(() => this.commitGroup()) : undefined;
    const answers: (() => void)[] = [];
    try {
      this.statements.begin.run();
      for (const step of group) answers.push(this.attempt(step));
      this.statements.commit.run();
    } catch (error) {
      if (this.db.isOpen && this.db.isTransaction) this.db.exec("ROLLBACK");
      for (const step of group) step.reject(unavailable(error));
      return;
    }
    for (const answer of answers) answer();
    for (const listener of this.listeners) listener();
  }

  /** Runs one step and says how to answer once it is on disk. */
  private attempt({ work, resolve, reject }: Step): () => void {
    this.statements.save.run();
    try {
      const result = work();
      this.statements.release.run();
      return () => resolve(result);
    } catch (error) {
      // A full disk ends the whole transaction, not this step alone.
      if (!this.db.isTransaction) throw error;
      this.statements.undo.run();
      this.statements.release.run();
      return () => reject(unavailable(error));
    }
  }
}

/** SQLite's own lock, which the system takes back whatever way the process ends. */
function lock(db: DatabaseSync, dataDir: string): void {
  try {
    db.exec(
      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL",
    );
    db.exec("BEGIN EXCLUSIVE; COMMIT");
  } catch (error) {
    if ((error as { errcode?: number }).errcode === 5) {
      throw new Error(`the data folder ${dataDir} is in use by another process`, { cause: error });
    }
    throw error;
  }
}

function createSchema(db: DatabaseSync, dataDir: string): void {
  const { user_version: version } = db.prepare("PRAGMA user_version").get() as {
    user_version: number;
  };
  if (version === SCHEMA.length) return;
  if (version > SCHEMA.length) {
    throw new Error(`the data folder ${dataDir} was written by a newer version of Parley`);
  }
  const steps = SCHEMA.slice(version).join("");
  db.exec(`BEGIN IMMEDIATE; ${steps} PRAGMA user_version = ${SCHEMA.length}; COMMIT`);
}

function unavailable(cause: unknown): ParleyError {
  if (cause instanceof ParleyError) return cause;
  return new ParleyError("COUNTERS_UNAVAILABLE", "the data folder cannot be written", { cause });
}
