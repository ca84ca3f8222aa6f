import { expect } from "chai";
import type { Core } from "../../src/core/core.ts";
import { densePage, type Source } from "../../src/core/dense.ts";
import type { NumberPage } from "../../src/core/ports.ts";

const call = { signal: new AbortController().signal } as Parameters<typeof densePage>[3];

/**
 * A chat of which 1 to 5 are rows at first. While they are read 6 and 7 are given, of which 6 is
 * void all the same, since two processes seeded the counter, and 7 becomes a row at once.
 */
function given(): { core: Core; source: Source<{ number: number }> } {
  let rows = [1, 2, 3, 4, 5];
  let jobs: unknown[] = [undefined];
  const core = {
    intake: {
      counts: async () => [5],
      backlog: async () => ({ jobs: jobs.length, requestIds: 0 }),
      find: async (ids: string[]) => ids.map((id) => (id.endsWith(":6") ? jobs[0] : undefined)),
    },
    deletions: { listDeleted: async () => [] },
    ledger: { listVoids: async () => [{ firstNumber: 6, lastNumber: 6 }] },
  };
  const source: Source<{ number: number }> = {
    counter: { applicationToken: "token", chatNumber: 1 },
    rows: async ({ after, before, order }) => {
      rows = [1, 2, 3, 4, 5, 7];
      jobs = [{ job: { number: 6 }, parked: false }];
      const found = rows.filter((one) => one > after && one < before);
      return (order === "asc" ? found : found.reverse()).map((number) => ({ number }));
    },
    fromJob: ({ number }) => ({ number }),
    bytesOf: () => 1,
  };
  return { core: core as unknown as Core, source };
}

describe("a page of numbers", () => {
  for (const order of ["asc", "desc"] as const) {
    it(`has a job that was given after the counter was looked at (${order})`, async () => {
      const { core, source } = given();
      const page: NumberPage = { after: 0, before: Number.POSITIVE_INFINITY, order, limit: 50 };
      const { items, voids } = await densePage(core, source, page, call);
      const numbers = items.map((one) => one.number).sort();
      expect(numbers).to.deep.equal([1, 2, 3, 4, 5, 6, 7]);
      expect(voids).to.deep.equal([]);
    });
  }
});
