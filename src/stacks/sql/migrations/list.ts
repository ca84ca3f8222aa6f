import type { MigrationObject } from "@mikro-orm/core";
import { MysqlTables } from "./mysql-0001-tables.ts";
import { MysqlDeletions } from "./mysql-0002-deletions.ts";
import { SqliteTables } from "./sqlite-0001-tables.ts";
import { SqliteSearch } from "./sqlite-0002-search.ts";
import { SqliteDeletions } from "./sqlite-0003-deletions.ts";

/** Every migration, oldest first. A name that was released never changes. */
export const migrationsList: Record<"mysql" | "sqlite", MigrationObject[]> = {
  mysql: [
    { name: "0001-tables", class: MysqlTables },
    { name: "0002-deletions", class: MysqlDeletions },
  ],
  sqlite: [
    { name: "0001-tables", class: SqliteTables },
    { name: "0002-search", class: SqliteSearch },
    { name: "0003-deletions", class: SqliteDeletions },
  ],
};
