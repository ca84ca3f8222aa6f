import { productionMissing } from "../support/servers.ts";
import { jobQueueContract } from "./job-queue.ts";
import { redisPlace, sqlitePlace } from "./queues.ts";

jobQueueContract("SQLite", sqlitePlace);
jobQueueContract("Bee-Queue", redisPlace, productionMissing);
