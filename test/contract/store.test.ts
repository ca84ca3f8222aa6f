import { productionMissing } from "../support/servers.ts";
import { mysqlDatabase, sqliteDatabase } from "./databases.ts";
import { storeContract } from "./store.ts";

storeContract("SQLite", sqliteDatabase);
storeContract("MySQL", mysqlDatabase, productionMissing);
