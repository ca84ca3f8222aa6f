import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "mysql2/promise";
import { findProgram, run } from "../programs.ts";
import { makeFolderFor } from "./account.ts";
import { launch } from "./daemon.ts";
import { MYSQL_PASSWORD, type Place } from "./place.ts";
import type { Server } from "./server.ts";

export const mariadb: Server = {
  name: "mariadb",
  ports: ["mysql"],
  launch: (place, folder) => launchMariadb(place, folder, { port: place.ports.mysql }),
  check: async ({ ports }) => {
    await ask(ports.mysql, "SELECT 1");
  },
};

/** How one MariaDB differs from another. */
interface Own {
  port: number;
  /** Lines for its settings file. */
  settings?: string;
  args?: string[];
}

export async function launchMariadb(place: Place, folder: string, own: Own): Promise<number> {
  writeFileSync(settingsFileOf(folder), myCnf(folder, own));
  writeFileSync(`${folder}/init.sql`, initSql());
  if (!existsSync(`${folder}/data`)) await layOut(place, folder);
  return launch({
    command: findProgram("mariadbd")!,
    args: [`--defaults-file=${settingsFileOf(folder)}`, ...(own.args ?? [])],
    account: place.account,
    logFile: `${folder}/log`,
  });
}

export function settingsFileOf(folder: string): string {
  return `${folder}/my.cnf`;
}

/** Renamed into place when it is whole, so that a run that was cut short is done again. */
async function layOut(place: Place, folder: string): Promise<void> {
  const unfinished = `${folder}/data.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  makeFolderFor(place.account, unfinished);
  await run(
    findProgram("mariadb-install-db")!,
    ["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"].concat(
      `--datadir=${unfinished}`,
    ),
    { ...place.account, cwd: "/" },
  );
  renameSync(unfinished, `${folder}/data`);
}

function myCnf(folder: string, { port, settings = "" }: Own): string {
  return `[mariadbd]
bind-address=127.0.0.1
port=${port}
socket=${folder}/socket
pid-file=${folder}/mariadbd.pid
datadir=${folder}/data
init-file=${folder}/init.sql
skip-name-resolve
character-set-server=utf8mb4
innodb_buffer_pool_size=256M
innodb_flush_log_at_trx_commit=1
max_allowed_packet=64M
max_connections=500
${settings}`;
}

/** Read at every start, one statement a line. The user may make databases for tests. */
function initSql(): string {
  const user = "'parley'@'127.0.0.1'";
  return `CREATE DATABASE IF NOT EXISTS parley;
CREATE USER IF NOT EXISTS ${user} IDENTIFIED BY '${MYSQL_PASSWORD}';
GRANT ALL ON \`parley\`.* TO ${user};
GRANT ALL ON \`parley\\_%\`.* TO ${user};
`;
}

/** What a statement answers, in short time. */
export async function ask(port: number, sql: string): Promise<Record<string, unknown>[]> {
  const connection = await createConnection({
    host: "127.0.0.1",
    port,
    user: "parley",
    password: MYSQL_PASSWORD,
    database: "parley",
    connectTimeout: 1_000,
  });
  // A server that is still starting cuts the connection, which mysql2 reports here as well.
  connection.on("error", () => {});
  try {
    const [rows] = await connection.query({ sql, timeout: 1_000 });
    await connection.end();
    return rows as Record<string, unknown>[];
  } finally {
    connection.destroy();
  }
}
