import type { Finding } from "../../core/upkeep.ts";
import { examined, type Findings, isAtLeast, percentOf } from "../findings.ts";
import { Database } from "./database.ts";
import { STATEMENT_BYTES_MAX } from "./insert-jobs.ts";
import { pendingMigrations } from "./migrate.ts";
import type { Orm } from "./orm.ts";

const PART = {
  name: "MySQL",
  advice: "start it, or see that PARLEY_MYSQL_URL leads to it",
  adviceOf: (reason: string) => ADVICE.find(([name]) => reason.includes(name))?.[1],
};

/** Where it can be reached, and refuses what is asked of it. */
const ADVICE: [name: string, advice: string][] = [
  ["ER_BAD_DB_ERROR", "CREATE DATABASE with that name, then npx parley migrate"],
  ["ER_ACCESS_DENIED_ERROR", "mend user and password in PARLEY_MYSQL_URL, or make that user"],
  ["ER_DBACCESS_DENIED_ERROR", "let the user of PARLEY_MYSQL_URL do everything in that database"],
];

/** JSON_TABLE came with the one, window functions and JSON_TABLE with the other. */
const VERSION_MIN = { mariadb: "10.6", mysql: "8.0" };

const VARIABLES = [
  "version",
  "innodb_flush_log_at_trx_commit",
  "log_bin",
  "sync_binlog",
  "max_allowed_packet",
  "max_connections",
  "sql_mode",
  "tx_isolation",
  "transaction_isolation",
  "read_only",
  "wsrep_on",
  "wsrep_node_name",
  "wsrep_sync_wait",
];

/** What MySQL or MariaDB says of itself, as far as rows and the ledger depend on it. */
export function examineMysql(orm: Orm, { poolMax }: { poolMax: number }): Promise<Finding[]> {
  const database = new Database(orm);
  return examined(PART, async (findings) => {
    const variables = await readPairs(database, "SESSION VARIABLES", VARIABLES);
    const startMs = performance.now();
    const beforeMs = Date.now();
    const serverMs = await readClock(database);
    const tookMs = (performance.now() - startMs).toFixed(1);
    findings.clock(serverMs, { beforeMs, afterMs: Date.now() });
    findings.note(`${variables.get("version")} answers in ${tookMs} ms`);
    addVersion(findings, variables.get("version") ?? "0");
    addDurability(findings, variables);
    addSession(findings, variables);
    await addConnections(findings, database, { variables, poolMax });
    const pending = await pendingMigrations(orm);
    if (pending.length > 0) {
      findings.error(`the database lacks ${pending.join(", ")}`, "npx parley migrate");
    }
  });
}

export function addVersion(findings: Findings, version: string): void {
  const least = /mariadb/i.test(version) ? VERSION_MIN.mariadb : VERSION_MIN.mysql;
  if (!isAtLeast(version, least)) {
    findings.error(`version ${version} is too old`, `use ${least} or newer`);
  }
}

export function addDurability(findings: Findings, variables: Map<string, string>): void {
  const flush = variables.get("innodb_flush_log_at_trx_commit");
  if (flush !== undefined && flush !== "1") {
    findings.error(
      `innodb_flush_log_at_trx_commit is ${flush}, so a crash loses rows whose jobs are gone`,
      "SET GLOBAL innodb_flush_log_at_trx_commit = 1, and in its settings file",
    );
  }
  if (variables.get("log_bin") === "ON" && variables.get("sync_binlog") !== "1") {
    findings.warning(
      `sync_binlog is ${variables.get("sync_binlog")}, so replicas may lack rows after a crash`,
      "SET GLOBAL sync_binlog = 1, and in its settings file",
    );
  }
  if (variables.get("read_only")?.startsWith("ON")) {
    findings.error("it is read-only", "PARLEY_MYSQL_URL must lead to the primary");
  }
  if (variables.get("wsrep_on") === "ON") {
    const node = `the node ${variables.get("wsrep_node_name") ?? ""} of a cluster`;
    findings.note(`it is ${node}`, "lead every process of Parley to the same node");
  }
}

/** What this process sets itself on each connection; a proxy between may not keep it. */
export function addSession(findings: Findings, variables: Map<string, string>): void {
  const isolation = variables.get("transaction_isolation") ?? variables.get("tx_isolation");
  if (isolation !== "READ-COMMITTED") {
    findings.error(`transactions are ${isolation}`, "let no proxy reset what a session has set");
  }
  const mode = variables.get("sql_mode") ?? "";
  if (!mode.includes("STRICT_ALL_TABLES") || mode.includes("NO_BACKSLASH_ESCAPES")) {
    findings.error(`sql_mode is ${mode}`, "let no proxy reset what a session has set");
  }
  if (variables.get("wsrep_on") === "ON" && variables.get("wsrep_sync_wait") === "0") {
    findings.error("wsrep_sync_wait is 0", "let no proxy reset what a session has set");
  }
  const packet = Number(variables.get("max_allowed_packet"));
  // Values may double when they are escaped.
  if (packet < 2 * STATEMENT_BYTES_MAX) {
    findings.error(
      `max_allowed_packet is ${packet}, less than a batch may have`,
      `SET GLOBAL max_allowed_packet = ${32 * STATEMENT_BYTES_MAX}, and in its settings file`,
    );
  }
}

async function addConnections(
  findings: Findings,
  database: Database,
  { variables, poolMax }: { variables: Map<string, string>; poolMax: number },
): Promise<void> {
  const most = Number(variables.get("max_connections"));
  const names = ["Max_used_connections", "Threads_connected"];
  const status = await readPairs(database, "GLOBAL STATUS", names);
  const used = Number(status.get("max_used_connections"));
  if (poolMax >= most) {
    findings.error(
      `PARLEY_MYSQL_POOL_MAX is ${poolMax}, and the server takes ${most} connections`,
      "raise max_connections above the pools of all processes together",
    );
  } else if (percentOf(used, most) >= 90) {
    findings.warning(
      `up to ${used} of ${most} connections were in use at a time`,
      "raise max_connections, or lower PARLEY_MYSQL_POOL_MAX",
    );
  }
}

async function readPairs(
  database: Database,
  what: string,
  names: string[],
): Promise<Map<string, string>> {
  const marks = names.map(() => "?").join(", ");
  const rows = await database.read((em) =>
    database.rows<{ Variable_name: string; Value: string }>(
      em,
      `SHOW ${what} WHERE Variable_name IN (${marks})`,
      names,
    ),
  );
  return new Map(rows.map((row) => [row.Variable_name.toLowerCase(), row.Value]));
}

async function readClock(database: Database): Promise<number> {
  const sql = "SELECT ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000) AS ms";
  const [row] = await database.read((em) => database.rows<{ ms: number | string }>(em, sql));
  return Number(row!.ms);
}
