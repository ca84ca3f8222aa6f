import type { MigrationObject } from "@mikro-orm/core";
import { MysqlTables } from "./mysql-0001-tables.ts";
import { MysqlDeletions } from "./mysql-0002-deletions.ts";
import { MysqlChoreRuns } from "./mysql-0003-chore-runs.ts";
import { MysqlSeeds } from "./mysql-0004-seeds.ts";
import { MysqlAttributes } from "./mysql-0005-attributes.ts";
import { MysqlChanges } from "./mysql-0006-changes.ts";
import { SqliteTables } from "./sqlite-0001-tables.ts";
import { SqliteSearch } from "./sqlite-0002-search.ts";
import { SqliteDeletions } from "./sqlite-0003-deletions.ts";
import { SqliteChoreRuns } from "./sqlite-0004-chore-runs.ts";
import { SqliteSeeds } from "./sqlite-0005-seeds.ts";
import { SqliteAttributes } from "./sqlite-0006-attributes.ts";
import { SqliteChanges } from "./sqlite-0007-changes.ts";

/** Every migration, oldest first. A name that was released never changes. */
export const migrationsList: Record<"mysql" | "sqlite", MigrationObject[]> = {
  mysql: [
    { name: "0001-tables", class: MysqlTables },
    { name: "0002-deletions", class: MysqlDeletions },
    { name: "0003-chore-runs", class: MysqlChoreRuns },
    { name: "0004-seeds", class: MysqlSeeds },
    { name: "0005-attributes", class: MysqlAttributes },
    { name: "0006-changes", class: MysqlChanges },
  ],
  sqlite: [
    { name: "0001-tables", class: SqliteTables },
    { name: "0002-search", class: SqliteSearch },
    { name: "0003-deletions", class: SqliteDeletions },
    { name: "0004-chore-runs", class: SqliteChoreRuns },
    { name: "0005-seeds", class: SqliteSeeds },
    { name: "0006-attributes", class: SqliteAttributes },
    { name: "0007-changes", class: SqliteChanges },
  ],
};
