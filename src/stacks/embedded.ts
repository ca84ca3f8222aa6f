import { join } from "node:path";
import type { Config } from "../config.ts";
import type { Stack } from "../core/ports.ts";
import type { OpenOptions } from "./options.ts";
import { Database } from "./sql/database.ts";
import { SqlDeletions } from "./sql/deletions.ts";
import { SqlLedger } from "./sql/ledger.ts";
import { migrate } from "./sql/migrate.ts";
import { closeOrm, openSqliteOrm } from "./sql/orm.ts";
import { SqlStore } from "./sql/store.ts";
import { SqlUpkeep } from "./sql/upkeep.ts";
import { examineFolder } from "./sqlite/examine.ts";
import { SqliteIntake } from "./sqlite/intake.ts";
import { IntakeDb } from "./sqlite/intake-db.ts";
import { InProcessLease } from "./sqlite/lease.ts";
import { SqliteQueue } from "./sqlite/queue.ts";
import { SqliteSearchIndex } from "./sqlite/search-index.ts";
import { InProcessWakeup } from "./sqlite/wakeup.ts";

/** One process and a folder: `intake.db`, which also locks the folder, and `store.db`. */
export async function openEmbedded(
  config: Config,
  { log, processId }: OpenOptions,
): Promise<Stack> {
  const db = new IntakeDb(config.PARLEY_DATA_DIR);
  try {
    const orm = await openSqliteOrm({ file: join(config.PARLEY_DATA_DIR, "store.db") });
    await migrate(orm);
    const index = new SqliteSearchIndex(new Database(orm));
    return {
      name: "embedded",
      intake: new SqliteIntake({
        db,
        requestIdTtlMs: config.PARLEY_REQUEST_ID_TTL * 1_000,
        backlogMax: config.PARLEY_BACKLOG_MAX,
      }),
      queue: new SqliteQueue({ db, log }),
      store: new SqlStore({ orm, processId }),
      ledger: new SqlLedger({ orm }),
      deletions: new SqlDeletions({ orm }),
      index,
      lease: new InProcessLease(),
      wakeup: new InProcessWakeup(),
      upkeep: new SqlUpkeep({ orm }),
      examine: () => examineFolder({ dataDir: config.PARLEY_DATA_DIR, db, orm, index }),
      stop: async () => {
        await closeOrm(orm);
        db.close();
      },
    };
  } catch (error) {
    db.close();
    throw error;
  }
}

/** For whoever wants it before the start, which migrates by itself. */
export async function migrateEmbedded(config: Config): Promise<string[]> {
  const db = new IntakeDb(config.PARLEY_DATA_DIR);
  try {
    const orm = await openSqliteOrm({ file: join(config.PARLEY_DATA_DIR, "store.db") });
    try {
      return await migrate(orm);
    } finally {
      await closeOrm(orm);
    }
  } finally {
    db.close();
  }
}
