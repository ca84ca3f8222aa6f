import { productionMissing } from "../support/servers.ts";
import { emptyMysql, emptySqlite } from "./databases.ts";
import { migrationsContract } from "./migrations.ts";

migrationsContract("SQLite", emptySqlite);
migrationsContract("MySQL", emptyMysql, productionMissing);
