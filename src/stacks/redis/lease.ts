import type { Lease } from "../../core/lease.ts";
import { RedisConnection } from "./connection.ts";
import { LEASE_PREFIX } from "./keys.ts";

/** Leases as keys that expire, on Redis's own clock. */
export class RedisLease implements Lease {
  private readonly connection: RedisConnection;

  constructor(options: { url: string }) {
    this.connection = new RedisConnection(options.url);
  }

  async acquire(name: string, forMs: number): Promise<boolean> {
    const reply = await this.connection.use((redis) =>
      redis.set(`${LEASE_PREFIX}${name}`, "held", "PX", forMs, "NX"),
    );
    return reply === "OK";
  }

  stop(): void {
    this.connection.stop();
  }
}
