import { createHash, randomUUID } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";

// What an unfinished import has done, in a SQLite file beside its input: of a file with a million
// chats not all are held in memory, and a process that is killed leaves it whole (ADR 0141).

/** A chat that was created for the import. */
export interface ImportedChat {
  number: number;
  /** Its last message when the last window ended. */
  last: number;
  /** The line that it was created for. */
  line: number;
}

/** Everything before `offset` is done. */
export interface Place {
  offset: number;
  line: number;
  messages: number;
  badLines: number;
}

/** The input is told by its size and its first bytes. */
const FINGERPRINT_BYTES = 64 * 1024;

export class ImportState {
  /** True where an earlier run left it. */
  readonly resumed: boolean;
  readonly importId: string;
  /** The lines of the window in work that the server refused, and why. */
  readonly refusals = new Map<number, string>();
  private readonly db: DatabaseSync;
  private readonly path: string;

  private constructor(db: DatabaseSync, path: string) {
    this.db = db;
    this.path = path;
    const found = this.get("import_id");
    this.resumed = found !== undefined;
    this.importId = found ?? randomUUID();
    const rows = db.prepare("SELECT line, why FROM refusals").all();
    for (const { line, why } of rows) this.refusals.set(Number(line), String(why));
  }

  /** Opens the state of an import of `file`, or begins it; refuses that of another file. */
  static async open(path: string, file: string): Promise<ImportState> {
    const fingerprint = await fingerprintOf(file);
    const db = openAt(path);
    try {
      // One import at a time; a commit survives a killed process, which is all that is asked of it.
      db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL");
      db.exec("PRAGMA synchronous = NORMAL");
      db.exec(`
        CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
        CREATE TABLE IF NOT EXISTS refusals (line INTEGER PRIMARY KEY, why TEXT) STRICT;
        CREATE TABLE IF NOT EXISTS chats (
          name TEXT PRIMARY KEY, number INTEGER NOT NULL, last INTEGER NOT NULL,
          line INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
      `);
      const state = new ImportState(db, path);
      if (state.resumed && state.get("fingerprint") !== fingerprint) {
        throw new Error(`it is of another file, or ${file} has changed: remove it to begin anew`);
      }
      state.set({ import_id: state.importId, fingerprint });
      return state;
    } catch (error) {
      db.close();
      const { message } = error as Error;
      const busy = message === "database is locked";
      throw new Error(`${path}: ${busy ? "another import is at work on this file" : message}`);
    }
  }

  get applicationToken(): string | undefined {
    return this.get("application_token");
  }

  /** `own` where the import made it, so that nobody else creates chats in it. */
  setApplication(token: string, { own }: { own: boolean }): void {
    this.set({ application_token: token, own: String(own) });
  }

  get ownsApplication(): boolean {
    return this.get("own") === "true";
  }

  get place(): Place {
    const of = (name: string) => Number(this.get(name) ?? 0);
    return {
      offset: of("offset"),
      line: of("line"),
      messages: of("messages"),
      badLines: of("bad_lines"),
    };
  }

  findChat(name: string): ImportedChat | undefined {
    const row = this.db.prepare("SELECT number, last, line FROM chats WHERE name = ?").get(name);
    return row as ImportedChat | undefined;
  }

  addChat(name: string, { number, last, line }: ImportedChat): void {
    const sql = "INSERT INTO chats (name, number, last, line) VALUES (?, ?, ?, ?)";
    this.db.prepare(sql).run(name, number, last, line);
  }

  get chats(): { count: number; highest: number } {
    const sql = "SELECT COUNT(*) AS count, COALESCE(MAX(number), 0) AS highest FROM chats";
    return this.db.prepare(sql).get() as { count: number; highest: number };
  }

  /** A line that the server refused, so that its batch is sent again without it. */
  refuse(line: number, why: string): void {
    this.refusals.set(line, why);
    this.db.prepare("INSERT OR REPLACE INTO refusals (line, why) VALUES (?, ?)").run(line, why);
  }

  /** Ends a window: all before the place is done, and chats end at these messages. */
  advance(place: Place, ends: Map<string, number>): void {
    this.db.exec("BEGIN");
    const update = this.db.prepare("UPDATE chats SET last = ? WHERE name = ?");
    for (const [name, last] of ends) update.run(last, name);
    this.db.exec("DELETE FROM refusals");
    this.refusals.clear();
    const { offset, line, messages, badLines } = place;
    this.set({ offset, line, messages, bad_lines: badLines });
    this.db.exec("COMMIT");
  }

  close(): void {
    this.db.close();
  }

  /** The import is done, so there is nothing to go on with. */
  async remove(): Promise<void> {
    this.close();
    for (const end of ["", "-wal", "-shm"]) await rm(`${this.path}${end}`, { force: true });
  }

  private get(name: string): string | undefined {
    const row = this.db.prepare("SELECT value FROM facts WHERE name = ?").get(name);
    return row?.value as string | undefined;
  }

  private set(facts: Record<string, string | number>): void {
    const put = this.db.prepare("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)");
    for (const [name, value] of Object.entries(facts)) put.run(name, String(value));
  }
}

async function fingerprintOf(file: string): Promise<string> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(FINGERPRINT_BYTES), 0);
    const hash = createHash("sha256").update(buffer.subarray(0, bytesRead)).digest("hex");
    return `${size}:${hash}`;
  } finally {
    await handle.close();
  }
}

function openAt(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: 0 });
  } catch (error) {
    throw new Error(`${path}: what is done cannot be kept there; see --state`, { cause: error });
  }
}
