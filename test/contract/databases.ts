import { join } from "node:path";
import type { Deletions } from "../../src/core/deletion.ts";
import type { Ledger, Store } from "../../src/core/ports.ts";
import { SqlDeletions } from "../../src/stacks/sql/deletions.ts";
import { SqlLedger } from "../../src/stacks/sql/ledger.ts";
import { migrate } from "../../src/stacks/sql/migrate.ts";
import { closeOrm, type Orm, openMysqlOrm, openSqliteOrm } from "../../src/stacks/sql/orm.ts";
import { SqlStore } from "../../src/stacks/sql/store.ts";
import { freshDataDir, freshServers } from "../support/servers.ts";
import type { Empty } from "./migrations.ts";

/** A fresh database, as the processes of one stack share it. */
export interface Shared {
  /** Opens it as another process does. */
  open(processId: string): Promise<{ store: Store; ledger: Ledger; deletions: Deletions }>;
  close(): Promise<void>;
}

/** The embedded stack is one process, so whoever opens its file shares one connection. */
export async function sqliteDatabase(): Promise<Shared> {
  const { dataDir, drop } = freshDataDir();
  const orm = await openSqliteOrm({ file: join(dataDir, "store.db") });
  await migrate(orm);
  return {
    open: async (processId) => partsOf(orm, processId),
    close: async () => {
      await closeOrm(orm);
      await drop();
    },
  };
}

export async function mysqlDatabase(): Promise<Shared> {
  const { mysqlUrl: url, drop } = await freshServers();
  const orms: Orm[] = [];
  const open = async () => {
    const orm = await openMysqlOrm({ url, poolMax: 10 });
    orms.push(orm);
    return orm;
  };
  await migrate(await open());
  return {
    open: async (processId) => partsOf(await open(), processId),
    close: async () => {
      for (const orm of orms) await closeOrm(orm);
      await drop();
    },
  };
}

function partsOf(orm: Orm, processId: string) {
  const store = new SqlStore({ orm, processId });
  return { store, ledger: new SqlLedger({ orm }), deletions: new SqlDeletions({ orm }) };
}

export async function emptySqlite(): Promise<Empty> {
  const { dataDir, drop } = freshDataDir();
  const orm = await openSqliteOrm({ file: join(dataDir, "store.db") });
  return { orms: [orm], drop };
}

export async function emptyMysql(): Promise<Empty> {
  const { mysqlUrl: url, drop } = await freshServers();
  const open = () => openMysqlOrm({ url, poolMax: 4 });
  return { orms: [await open(), await open(), await open()], drop };
}
