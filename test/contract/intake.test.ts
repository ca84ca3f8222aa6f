import { productionMissing } from "../support/servers.ts";
import { intakeContract } from "./intake.ts";
import { redisHome, sqliteHome } from "./intakes.ts";

intakeContract("SQLite", sqliteHome);
intakeContract("Redis", redisHome, productionMissing);
