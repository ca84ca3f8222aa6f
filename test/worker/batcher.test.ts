import { expect } from "chai";
import { Batcher } from "../../src/worker/batcher.ts";

/** A batcher whose batches end only when they are told to. */
function held(bounds: { count: number; bytes: number; lanes: number }) {
  const batches: { items: string[]; end(errors?: (Error | undefined)[]): void }[] = [];
  const batcher = new Batcher<string>(
    bounds,
    (items) =>
      new Promise((resolve) => {
        batches.push({ items, end: (errors = []) => resolve(errors) });
      }),
  );
  return { batcher, batches };
}

const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe("the batcher", () => {
  it("starts a batch of what came in one turn, and never waits for company", async () => {
    const { batcher, batches } = held({ count: 10, bytes: 1_000, lanes: 1 });
    const first = Promise.all([batcher.add("a", 1), batcher.add("b", 1)]);
    await turn();
    expect(batches.map((one) => one.items)).to.deep.equal([["a", "b"]]);
    batches[0]!.end();
    await first;
  });

  it("lets batches grow while every lane is busy, up to count and bytes", async () => {
    const { batcher, batches } = held({ count: 3, bytes: 100, lanes: 1 });
    const all = [batcher.add("first", 1)];
    await turn();
    for (const item of ["a", "b", "c", "d"]) all.push(batcher.add(item, 1));
    for (const item of ["big", "bigger", "biggest"]) all.push(batcher.add(item, 60));
    all.push(batcher.add("huge", 500));
    for (let at = 0; at < 6; at++) {
      await turn();
      batches[at]?.end();
    }
    await turn();
    expect(batches.map((one) => one.items)).to.deep.equal([
      ["first"],
      ["a", "b", "c"],
      ["d", "big"],
      ["bigger"],
      ["biggest"],
      ["huge"],
    ]);
    batches[5]!.end();
    await Promise.all(all);
  });

  it("runs no more batches at a time than it has lanes", async () => {
    const { batcher, batches } = held({ count: 1, bytes: 1_000, lanes: 2 });
    const all = ["a", "b", "c"].map((item) => batcher.add(item, 1));
    await turn();
    expect(batches.length).to.equal(2);
    batches[0]!.end();
    await turn();
    expect(batches.length).to.equal(3);
    for (const batch of batches) batch.end();
    await Promise.all(all);
  });

  it("fails an item on its own, while the rest of its batch succeeds", async () => {
    const { batcher, batches } = held({ count: 10, bytes: 1_000, lanes: 1 });
    const results = Promise.allSettled([batcher.add("good", 1), batcher.add("bad", 1)]);
    await turn();
    batches[0]!.end([undefined, new Error("bad")]);
    expect((await results).map((one) => one.status)).to.deep.equal(["fulfilled", "rejected"]);
  });
});
