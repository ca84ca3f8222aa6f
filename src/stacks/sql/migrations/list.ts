import type { MigrationObject } from "@mikro-orm/core";
import { MysqlTables } from "./mysql-0001-tables.ts";
import { SqliteTables } from "./sqlite-0001-tables.ts";
import { SqliteSearch } from "./sqlite-0002-search.ts";

/** Every migration, oldest first. A name that was released never changes. */
export const migrationsList: Record<"mysql" | "sqlite", MigrationObject[]> = {
  mysql: [{ name: "0001-tables", class: MysqlTables }],
  sqlite: [
    { name: "0001-tables", class: SqliteTables },
    { name: "0002-search", class: SqliteSearch },
  ],
};
