import { productionMissing } from "../support/servers.ts";
import { killingJobsContract } from "./killing-jobs.ts";
import { redisPlace, sqlitePlace } from "./queues.ts";

killingJobsContract("SQLite", sqlitePlace);
killingJobsContract("Bee-Queue", redisPlace, productionMissing);
