import { statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "../../core/upkeep.ts";
import { addOldestJob, examined, type Findings, mebibytes } from "../findings.ts";
import { Database } from "../sql/database.ts";
import type { Orm } from "../sql/orm.ts";
import type { IntakeDb } from "./intake-db.ts";
import { quickCheck } from "./quick-check.ts";
import type { SqliteSearchIndex } from "./search-index.ts";

const PART = { name: "data folder", advice: "see that it is there and its disk works" };

const FREE_BYTES_MIN = { wrong: 100 * 1024 ** 2, told: 1024 ** 3 };
const WAL_BYTES_MAX = 256 * 1024 ** 2;

/** A larger intake.db is not looked through: it would keep the thread that serves. */
const INTAKE_BYTES_MAX = 64 * 1024 ** 2;

const CHECK_MS = 5_000;

/** What can be said of the embedded stack's folder and its two files. */
export function examineFolder(parts: {
  dataDir: string;
  db: IntakeDb;
  orm: Orm;
  index: SqliteSearchIndex;
}): Promise<Finding[]> {
  const { dataDir, db, orm, index } = parts;
  return examined(PART, async (findings) => {
    const startMs = performance.now();
    const database = new Database(orm);
    const [row] = await database.read((em) =>
      database.rows<{ version: string }>(em, "SELECT sqlite_version() AS version"),
    );
    const tookMs = (performance.now() - startMs).toFixed(1);
    findings.note(`SQLite ${row!.version} answers in ${tookMs} ms, in ${dataDir}`);
    addDisk(findings, dataDir);
    for (const name of ["intake.db", "store.db"]) addWal(findings, join(dataDir, name));
    addOldestJob(findings, oldestJobMs(db), Date.now());
    if (await index.isLeftUnfinished()) {
      findings.note(
        "a reindex was killed and left its tables",
        "npx parley reindex takes them away",
      );
    }
    addIntakeCheck(findings, db, join(dataDir, "intake.db"));
    addCheck(findings, "store.db", await quickCheck(join(dataDir, "store.db"), CHECK_MS));
  });
}

function addDisk(findings: Findings, dataDir: string): void {
  const { bavail, bsize } = statfsSync(dataDir);
  const free = bavail * bsize;
  const what = `its disk has ${mebibytes(free)} left`;
  const advice = "free some, or move the folder: nothing is accepted when it is full";
  if (free < FREE_BYTES_MIN.wrong) findings.error(what, advice);
  else if (free < FREE_BYTES_MIN.told) findings.warning(what, advice);
}

function addWal(findings: Findings, file: string): void {
  const size = statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  if (size < WAL_BYTES_MAX) return;
  findings.warning(`${file}-wal has ${mebibytes(size)}`, "restart the server, which empties it");
}

function addIntakeCheck(findings: Findings, db: IntakeDb, file: string): void {
  const size = statSync(file).size;
  if (size > INTAKE_BYTES_MAX) {
    findings.note(`intake.db was not looked through: it has ${mebibytes(size)}`);
    return;
  }
  const row = db.read(() => db.prepare("PRAGMA quick_check(1)").get()) ?? {};
  const result = Object.values(row).join();
  addCheck(findings, "intake.db", result === "ok" ? undefined : result);
}

function addCheck(findings: Findings, name: string, result: string | undefined): void {
  if (result === undefined) return;
  if (result === "late") {
    findings.note(`${name} is too large to be looked through in ${CHECK_MS} ms`);
    return;
  }
  findings.error(
    `${name} is damaged: ${result}`,
    "stop the server, keep a copy of the folder, and bring back a good copy; then epoch new",
  );
}

function oldestJobMs(db: IntakeDb): number | undefined {
  const sql = "SELECT create_ms FROM jobs WHERE parked = 0 ORDER BY seq LIMIT 1";
  const row = db.read(() => db.prepare(sql).get()) as { create_ms: number } | undefined;
  return row?.create_ms;
}
