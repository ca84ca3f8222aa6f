import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
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
  timeouts: Timeouts;
  /** While true a silent connection is left alone: a migration may take long. */
  patient: boolean;
  closed: boolean;
  /** Of the connections that are open; SQLite has none. */
  sockets: Set<Socket>;
  /** Ends what closing `mikro` leaves: a pool that was never asked for a connection. */
  end(): void;
}

export interface Timeouts {
  /** A connection that cannot be made within this time fails. */
  connectMs: number;
  /**
   * A connection on which nothing comes or goes for this time is destroyed, with the statement that
   * waits on it: nothing else ends a wait for a server that vanished without closing.
   */
  silenceMs: number;
  /** A whole step fails after this time, from the wait for a connection to the commit. */
  stepMs: number;
}

const TIMEOUTS: Timeouts = { connectMs: 2_000, silenceMs: 8_000, stepMs: 10_000 };

/** Spare connections are closed after this time, before silence would destroy them. */
const IDLE_TIMEOUT_MS = 5_000;

/** How long connections may take to close in good order. */
const CLOSE_TIMEOUT_MS = 1_000;

/** A statement that waits for another transaction's rows gives up after this time. */
const LOCK_TIMEOUT_S = 2;

/**
 * The server ends a connection on which its client says nothing for this time: else a process that
 * is stopped, but not dead, in the middle of a transaction would hold its locks for hours. Longer
 * than any connection is left alone on this side.
 */
const CLIENT_SILENCE_S = 10;

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
    innodb_lock_wait_timeout = ${LOCK_TIMEOUT_S}, wait_timeout = ${CLIENT_SILENCE_S}`,
];

/**
 * A node of a Galera cluster may have yet to apply what another one committed. So reads and
 * transactions begin when it has everything that was committed before: who is led to another node
 * must not see an older ledger, or miss rows that it knows of. Elsewhere it does nothing, and MySQL
 * does not know the variable.
 */
const GALERA_SESSION = "SET SESSION wsrep_sync_wait = 1";
const UNKNOWN_VARIABLE = 1193;

/** Opens a pool of connections to MySQL or MariaDB. No connection is made yet. */
export async function openMysqlOrm(options: {
  url: string;
  poolMax: number;
  timeouts?: Partial<Timeouts>;
}): Promise<Orm> {
  const timeouts = { ...TIMEOUTS, ...options.timeouts };
  const mikro = await MikroORM.init({
    ...OF_BOTH,
    driver: MySqlDriver,
    clientUrl: options.url,
    charset: "utf8mb4",
    collate: "utf8mb4_bin",
    timezone: "Z",
    pool: { min: 0, max: options.poolMax, idleTimeoutMillis: IDLE_TIMEOUT_MS },
    migrations: { ...OF_BOTH.migrations, migrationsList: migrationsList.mysql },
    driverOptions: {
      // Without it a row that was there already would count as affected.
      flags: ["-FOUND_ROWS"],
      connectTimeout: timeouts.connectMs,
      queueLimit: options.poolMax * WAITERS_PER_CONNECTION,
    },
  });
  const pool = await (mikro.em.getConnection() as MySqlConnection).getNativeClient();
  // Its timer would keep a process that is done from ending.
  const end = () => pool.end(() => {});
  const orm: Orm = { dialect: "mysql", mikro, timeouts, ...fresh(), end };
  pool.on("connection", (connection) => {
    prepare({ connection: connection as unknown as Connection, orm });
  });
  return orm;
}

const fresh = () => ({
  patient: false,
  closed: false,
  sockets: new Set<Socket>(),
  end: () => {},
});

/** A connection of mysql2, as far as it is used here. */
interface Connection {
  stream: Socket;
  query(sql: string, done: (error: (Error & { errno?: number }) | null) => void): void;
  on(event: "error", heard: () => void): void;
}

/** Runs before a new connection is given to whoever asked for it; statements wait in line. */
function prepare({ connection, orm }: { connection: Connection; orm: Orm }): void {
  // Whoever has the connection hears of its end, and so does the pool; nobody else needs to.
  connection.on("error", () => {});
  const socket = connection.stream;
  orm.sockets.add(socket);
  socket.on("close", () => orm.sockets.delete(socket));
  const { silenceMs } = orm.timeouts;
  socket.setTimeout(silenceMs, () => {
    if (orm.patient) return;
    socket.destroy(new Error(`the database was silent for ${silenceMs} ms`));
  });
  for (const sql of [...MYSQL_SESSION, GALERA_SESSION]) {
    connection.query(sql, (error) => {
      if (error === null || error.errno === UNKNOWN_VARIABLE) return;
      socket.destroy(error);
    });
  }
}

/** Closes every connection; what still needs one fails from here on. Does not fail itself. */
export async function closeOrm(orm: Orm): Promise<void> {
  orm.closed = true;
  // A server that has vanished does not answer the farewell either.
  const closed = orm.mikro.close().catch(() => {});
  await Promise.race([closed, sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
  orm.end();
  for (const socket of orm.sockets) socket.destroy();
}

/** Opens a file with one connection. Whoever calls makes sure that no other process has it open. */
export async function openSqliteOrm(options: { file: string }): Promise<Orm> {
  const mikro = await MikroORM.init({
    ...OF_BOTH,
    driver: SqliteDriver,
    dbName: options.file,
    driverOptions: new StoreDialect(options.file),
    migrations: { ...OF_BOTH.migrations, migrationsList: migrationsList.sqlite },
    discovery: { onMetadata: forSqlite },
    // The tables of the search index are nobody's entities.
    schemaGenerator: { skipTables: [/^search_(chats|identity)/, /^message_search/] },
  });
  const connection = mikro.em.getConnection();
  await connection.execute("PRAGMA journal_mode = WAL");
  await connection.execute("PRAGMA synchronous = FULL");
  return { dialect: "sqlite", mikro, timeouts: TIMEOUTS, ...fresh() };
}

const OF_BOTH = {
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
