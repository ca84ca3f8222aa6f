import { RedisLease } from "../../src/stacks/redis/lease.ts";
import { InProcessLease } from "../../src/stacks/sqlite/lease.ts";
import { freshServers } from "../support/servers.ts";
import type { LeaseHome } from "./lease.ts";

/** The embedded stack is one process, which has one lease object. */
export async function inProcessLeases(): Promise<LeaseHome> {
  const lease = new InProcessLease();
  return { one: lease, other: lease, close: async () => {} };
}

export async function redisLeases(): Promise<LeaseHome> {
  const { redisUrl: url, drop } = await freshServers();
  const [one, other] = [new RedisLease({ url }), new RedisLease({ url })];
  return {
    one,
    other,
    close: async () => {
      one.stop();
      other.stop();
      await drop();
    },
  };
}
