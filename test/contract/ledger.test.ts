import { productionMissing } from "../support/servers.ts";
import { mysqlDatabase, sqliteDatabase } from "./databases.ts";
import { ledgerContract } from "./ledger.ts";

ledgerContract("SQLite", sqliteDatabase);
ledgerContract("MySQL", mysqlDatabase, productionMissing);
