import { join } from "node:path";
import type { SearchIndex } from "../../src/core/ports.ts";
import { openElastic } from "../../src/stacks/elastic/client.ts";
import { ElasticSearchIndex } from "../../src/stacks/elastic/search-index.ts";
import { Database } from "../../src/stacks/sql/database.ts";
import { migrate } from "../../src/stacks/sql/migrate.ts";
import { closeOrm, openSqliteOrm } from "../../src/stacks/sql/orm.ts";
import { SqliteSearchIndex } from "../../src/stacks/sqlite/search-index.ts";
import { freshDataDir, freshServers } from "../support/servers.ts";

/** A fresh index of one stack. */
export interface OpenIndex {
  index: SearchIndex;
  /** Makes what was indexed visible now: an engine may take its time. */
  settle(): Promise<void>;
  /** Loses all that was indexed, behind the back of the port. */
  lose(): Promise<void>;
  close(): Promise<void>;
}

export async function sqliteIndex(): Promise<OpenIndex> {
  const { dataDir, drop } = freshDataDir();
  const orm = await openSqliteOrm({ file: join(dataDir, "store.db") });
  await migrate(orm);
  const database = new Database(orm);
  return {
    index: new SqliteSearchIndex(database),
    settle: async () => {},
    // As if an older version of the code had filled it.
    lose: async () => {
      const sql = "update search_identity set fold_version = 0";
      await database.transaction((em) => database.run(em, sql));
    },
    close: async () => {
      await closeOrm(orm);
      await drop();
    },
  };
}

export async function elasticIndex(): Promise<OpenIndex> {
  const servers = await freshServers();
  const client = openElastic(servers.elasticsearchUrls.split(","));
  const alias = servers.elasticsearchIndex;
  return {
    index: new ElasticSearchIndex(client, alias),
    settle: async () => {
      await client.indices.refresh({ index: alias });
    },
    lose: async () => {
      for (const name of Object.keys(await client.indices.get({ index: alias }))) {
        await client.indices.delete({ index: name });
      }
    },
    close: async () => {
      await client.close();
      await servers.drop();
    },
  };
}
