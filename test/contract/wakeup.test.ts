import { productionMissing } from "../support/servers.ts";
import { wakeupContract } from "./wakeup.ts";
import { inProcessWakeups, redisWakeups } from "./wakeups.ts";

wakeupContract("in process", inProcessWakeups);
wakeupContract("Redis", redisWakeups, productionMissing);
