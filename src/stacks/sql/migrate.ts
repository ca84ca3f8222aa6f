import { Database } from "./database.ts";
import { migrationsList } from "./migrations/list.ts";
import type { Orm } from "./orm.ts";

/** How long one process waits for another that migrates the same database. */
const LOCK_WAIT_S = 60;

/** The names of the migrations that the database lacks, oldest first. */
export async function pendingMigrations(orm: Orm): Promise<string[]> {
  const database = new Database(orm);
  const tables =
    orm.dialect === "mysql"
      ? "SELECT table_name FROM information_schema.tables " +
        "WHERE table_schema = database() AND table_name = 'migrations'"
      : "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'migrations'";
  const done = await database.read(async (em) => {
    // Asked for first, so that a server with too few rights can say what is pending.
    if ((await database.rows(em, tables)).length === 0) return [];
    return database.rows<{ name: string }>(em, "SELECT name FROM migrations");
  });
  const names = new Set(done.map((row) => row.name));
  return migrationsList[orm.dialect].map((one) => one.name).filter((name) => !names.has(name));
}

/** Brings the database up to date; returns the names of the migrations that it ran. */
export async function migrate(orm: Orm): Promise<string[]> {
  // A migration may take long, and nothing comes over its connection meanwhile.
  orm.patient = true;
  try {
    return await locked(orm, async () => {
      const ran = await orm.mikro.migrator.up();
      return ran.map((one) => one.name);
    });
  } finally {
    orm.patient = false;
  }
}

/** One process migrates at a time. The lock belongs to a connection, so one is kept meanwhile. */
async function locked<T>(orm: Orm, work: () => Promise<T>): Promise<T> {
  if (orm.dialect === "sqlite") return work();
  const connection = orm.mikro.em.getConnection();
  const name = "concat('parley migrate ', md5(database()))";
  return connection.transactional(async (transaction) => {
    const got = (sql: string) =>
      connection.execute<{ got: number | null }[]>(sql, [], "all", transaction);
    const [row] = await got(`SELECT GET_LOCK(${name}, ${LOCK_WAIT_S}) AS got`);
    if (row?.got !== 1) throw new Error("another process is migrating this database");
    try {
      return await work();
    } finally {
      await got(`SELECT RELEASE_LOCK(${name}) AS got`);
    }
  });
}
