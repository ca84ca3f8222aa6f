import { expect } from "chai";
import type { Lease } from "../../src/core/lease.ts";

/** Two processes that share leases. */
export interface LeaseHome {
  one: Lease;
  other: Lease;
  close(): Promise<void>;
}

/** What every Lease does. `fresh` makes an empty home; `missing` says why there is none. */
export function leaseContract(
  name: string,
  fresh: () => Promise<LeaseHome>,
  missing?: string,
): void {
  const suite = missing === undefined ? describe : describe.skip;
  suite(`lease: ${name}`, () => {
    let home: LeaseHome;
    beforeEach(async () => {
      home = await fresh();
    });
    afterEach(() => home?.close());

    it("has one holder among many who ask at once", async () => {
      const { one, other } = home;
      const asked = Array.from({ length: 40 }, (_, at) =>
        (at % 2 ? one : other).acquire("sync", 60_000),
      );
      const held = await Promise.all(asked);
      expect(held.filter((yes) => yes)).to.have.length(1);
      expect(await one.acquire("sync", 60_000)).to.equal(false);
    });

    it("tells names apart", async () => {
      expect(await home.one.acquire("sync", 60_000)).to.equal(true);
      expect(await home.other.acquire("repair", 60_000)).to.equal(true);
    });

    it("ends by itself, and not before its time", async () => {
      const { one, other } = home;
      const startMs = performance.now();
      expect(await one.acquire("sync", 200)).to.equal(true);
      while (!(await other.acquire("sync", 200))) await new Promise(setImmediate);
      expect(performance.now() - startMs).to.be.within(195, 1_000);
      expect(await one.acquire("sync", 200)).to.equal(false);
    });
  });
}
