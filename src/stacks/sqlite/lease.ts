import type { Lease } from "../../core/lease.ts";

/** Leases within this process, which is the only one on its data folder. */
export class InProcessLease implements Lease {
  private readonly now: () => number;
  private readonly heldUntil = new Map<string, number>();

  /** The clock must not jump: a lease is a span of time. */
  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  async acquire(name: string, forMs: number): Promise<boolean> {
    const now = this.now();
    if (now < (this.heldUntil.get(name) ?? Number.NEGATIVE_INFINITY)) return false;
    this.heldUntil.set(name, now + forMs);
    return true;
  }
}
