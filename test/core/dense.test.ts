import { expect } from "chai";
import type { Core } from "../../src/core/core.ts";
import { densePage, type Source } from "../../src/core/dense.ts";
import type { NumberPage } from "../../src/core/ports.ts";

const call = { signal: new AbortController().signal } as Parameters<typeof densePage>[3];

/**
 * A chat of which 1 to 5 were given when its counter was looked at, and 6 and 7 before its rows
 * were read: 7 is a row, and 6 has a job and is void all the same, since two processes seeded the
 * counter.
 */
const ROWS = [1, 2, 3, 4, 5, 7];
const core = {
  intake: {
    counts: async () => [5],
    backlog: async () => ({ jobs: 1, requestIds: 0 }),
    find: async (ids: string[]) =>
      ids.map((id) => (id.endsWith(":6") ? { job: { number: 6 }, parked: false } : undefined)),
  },
  deletions: { listDeleted: async () => [] },
  ledger: { listVoids: async () => [{ firstNumber: 6, lastNumber: 6 }] },
} as unknown as Core;
const source: Source<{ number: number }> = {
  counter: { applicationToken: "token", chatNumber: 1 },
  rows: async ({ after, before, order }) => {
    const found = ROWS.filter((one) => one > after && one < before);
    return (order === "asc" ? found : found.reverse()).map((number) => ({ number }));
  },
  fromJob: ({ number }) => ({ number }),
  bytesOf: () => 1,
};

describe("a page of numbers", () => {
  for (const order of ["asc", "desc"] as const) {
    it(`has a job that was given after the counter was looked at (${order})`, async () => {
      const page: NumberPage = { after: 0, before: Number.POSITIVE_INFINITY, order, limit: 50 };
      const { items, voids } = await densePage(core, source, page, call);
      const numbers = items.map((one) => one.number).sort();
      expect(numbers).to.deep.equal([1, 2, 3, 4, 5, 6, 7]);
      expect(voids).to.deep.equal([]);
    });
  }
});
