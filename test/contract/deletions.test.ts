import { productionMissing } from "../support/servers.ts";
import { mysqlDatabase, sqliteDatabase } from "./databases.ts";
import { deletionsContract } from "./deletions.ts";

deletionsContract("SQLite", sqliteDatabase);
deletionsContract("MySQL", mysqlDatabase, productionMissing);
