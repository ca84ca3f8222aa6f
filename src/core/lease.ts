// One of the ports, see ports.ts.

/** One holder at a time for a chore's tick. */
export interface Lease {
  /** True for one caller only, until `forMs` have passed. A lease is never given back early. */
  acquire(name: string, forMs: number): Promise<boolean>;
}
