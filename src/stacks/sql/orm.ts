import type { Socket } from "node:net";
import { Migrator } from "@mikro-orm/migrations";
import { type MySqlConnection, MySqlDriver } from "@mikro-orm/mysql";
import {
  type EntityMetadata,
  MikroORM,
  NodeSqliteDialect,
  type Options,
  SqliteDriver,
} from "@mikro-orm/sql";
import { entities } from "./entities.ts";
import { migrationsList } from "./migrations/list.ts";

export type Dialect = "mysql" | "sqlite";

export interface Orm {
  dialect: Dialect;
  mikro: MikroORM;
  /** While true a silent connection is left alone: a migration may take long. */
  patient: boolean;
}

/** A connection that cannot be made within this time fails. */
const CONNECT_TIMEOUT_MS = 2_000;

/**
 * A connection on which nothing comes or goes for this time is destroyed, with whatever statement
 * waits on it: nothing else ends a wait for a server that has vanished without closing.
 */
const SILENCE_TIMEOUT_MS = 8_000;

/** Spare connections are closed after this time, before silence would destroy them. */
const IDLE_TIMEOUT_MS = 5_000;

/** A statement that waits for another transaction's rows gives up after this time. */
const LOCK_TIMEOUT_S = 2;

/** How many callers may wait for each connection of the pool. */
const WAITERS_PER_CONNECTION = 100;

/**
 * Read committed, so that a statement sees what was committed before it, also after it has waited
 * for a lock, and inserts lock no gaps. Strict, so that no value is cut to fit. The SQL mode is set
 * as a whole because the driver's escaping is right only without NO_BACKSLASH_ESCAPES.
 */
const MYSQL_SESSION = [
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
  `SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',
    innodb_lock_wait_timeout = ${LOCK_TIMEOUT_S}`,
];

/** Opens a pool of connections to MySQL or MariaDB. No connection is made yet. */
export async function openMysqlOrm(options: { url: string; poolMax: number }): Promise<Orm> {
  const mikro = await MikroORM.init({
    ...COMMON,
    driver: MySqlDriver,
    clientUrl: options.url,
    charset: "utf8mb4",
    collate: "utf8mb4_bin",
    timezone: "Z",
    pool: { min: 0, max: options.poolMax, idleTimeoutMillis: IDLE_TIMEOUT_MS },
    migrations: { ...COMMON.migrations, migrationsList: migrationsList.mysql },
    driverOptions: {
      // Without it a row that was there already would count as affected.
      flags: ["-FOUND_ROWS"],
      connectTimeout: CONNECT_TIMEOUT_MS,
      queueLimit: options.poolMax * WAITERS_PER_CONNECTION,
    },
  });
  const orm: Orm = { dialect: "mysql", mikro, patient: false };
  const connection = mikro.em.getConnection() as MySqlConnection;
  const pool = await connection.getNativeClient();
  pool.on("connection", (raw) => {
    // A connection belongs to whoever has it; the pool hears of its end by itself.
    raw.on("error", () => {});
    const socket = (raw as unknown as { stream: Socket }).stream;
    socket.setTimeout(SILENCE_TIMEOUT_MS, () => {
      if (orm.patient) return;
      socket.destroy(new Error(`the database was silent for ${SILENCE_TIMEOUT_MS} ms`));
    });
    for (const sql of MYSQL_SESSION) {
      raw.query(sql, (error) => {
        if (error !== null) socket.destroy(error);
      });
    }
  });
  return orm;
}

/** Opens a file with one connection. Whoever calls makes sure that no other process has it open. */
export async function openSqliteOrm(options: { file: string }): Promise<Orm> {
  const mikro = await MikroORM.init({
    ...COMMON,
    driver: SqliteDriver,
    dbName: options.file,
    driverOptions: new StoreDialect(options.file),
    migrations: { ...COMMON.migrations, migrationsList: migrationsList.sqlite },
    discovery: { onMetadata: forSqlite },
  });
  const connection = mikro.em.getConnection();
  await connection.execute("PRAGMA journal_mode = WAL");
  await connection.execute("PRAGMA synchronous = FULL");
  return { dialect: "sqlite", mikro, patient: false };
}

const COMMON = {
  entities,
  extensions: [Migrator],
  // The database is made by whoever administers the server; nothing is asked at the start.
  ensureDatabase: false,
  logger: () => {},
  migrations: {
    tableName: "migrations",
    snapshot: false,
    // DDL commits by itself on MySQL.
    transactional: true,
    allOrNothing: false,
  },
} satisfies Partial<Options>;

/** SQLite compares bytes by itself, and counts rows in columns of exactly the type integer. */
function forSqlite(meta: EntityMetadata): void {
  for (const prop of meta.props) {
    delete prop.collation;
    if (prop.autoincrement) prop.columnTypes = ["integer"];
  }
}

/**
 * Some errors, such as a full disk, make SQLite roll back by itself. The ROLLBACK that follows then
 * fails, and Kysely would keep its one connection locked for ever.
 */
class StoreDialect extends NodeSqliteDialect {
  override createDriver() {
    const driver = super.createDriver();
    const rollback = driver.rollbackTransaction.bind(driver);
    driver.rollbackTransaction = async (connection) => {
      await rollback(connection).catch((error: Error) => {
        if (!error.message.includes("no transaction is active")) throw error;
      });
    };
    return driver;
  }
}
