import { productionMissing } from "../support/servers.ts";
import { leaseContract } from "./lease.ts";
import { inProcessLeases, redisLeases } from "./leases.ts";

leaseContract("in process", inProcessLeases);
leaseContract("Redis", redisLeases, productionMissing);
