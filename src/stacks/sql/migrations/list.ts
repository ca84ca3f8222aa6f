import type { MigrationObject } from "@mikro-orm/core";
import { MysqlTables } from "./mysql-0001-tables.ts";
import { MysqlChoreRuns } from "./mysql-0003-chore-runs.ts";
import { SqliteTables } from "./sqlite-0001-tables.ts";
import { SqliteSearch } from "./sqlite-0002-search.ts";
import { SqliteChoreRuns } from "./sqlite-0004-chore-runs.ts";

/** Every migration, oldest first. A name that was released never changes. */
export const migrationsList: Record<"mysql" | "sqlite", MigrationObject[]> = {
  mysql: [
    { name: "0001-tables", class: MysqlTables },
    { name: "0003-chore-runs", class: MysqlChoreRuns },
  ],
  sqlite: [
    { name: "0001-tables", class: SqliteTables },
    { name: "0002-search", class: SqliteSearch },
    { name: "0004-chore-runs", class: SqliteChoreRuns },
  ],
};
