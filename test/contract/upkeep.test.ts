import { expect } from "chai";
import type { Position, Upkeep } from "../../src/core/upkeep.ts";
import { describeStacks, freshPlace, type Place, type Running, start } from "../support/system.ts";
import { chatJob, messageJob, newApplication } from "./jobs.ts";

describeStacks("upkeep", (stack) => {
  let place: Place;
  let parley: Running;
  let upkeep: Upkeep;
  const tokens: string[] = [];

  /** Two applications. The first has chats 1 and 3, and messages of 1 and of 2, a lost chat. */
  before(async () => {
    place = await freshPlace(stack);
    parley = await start(place, []);
    const { store } = parley.system.stack;
    upkeep = parley.system.stack.upkeep;
    for (const _ of [1, 2]) {
      const { application } = await store.insertApplication(newApplication());
      tokens.push(application.token);
    }
    const [one, other] = tokens as [string, string];
    const key = (applicationToken: string, chatNumber: number) => ({
      applicationToken,
      chatNumber,
    });
    await store.insertJobs([
      ...[1, 3].map((number) => chatJob(one, number)),
      chatJob(other, 1),
      ...[2, 5].map((number) => messageJob(key(one, 1), number)),
      messageJob(key(one, 2), 7),
      ...[1, 2, 3].map((number) => messageJob(key(other, 1), number)),
    ]);
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
  });

  /** All that a walk in pages of `limit` tells. */
  async function walk<T extends { position: Position }>(
    list: (page: { after?: Position; limit: number }) => Promise<T[]>,
    limit: number,
  ): Promise<Omit<T, "position">[]> {
    const all: Omit<T, "position">[] = [];
    for (let after: Position | undefined; ; ) {
      const page = await list(after === undefined ? { limit } : { after, limit });
      expect(page.length).to.be.at.most(limit);
      for (const { position, ...one } of page) {
        all.push(one);
        after = position;
      }
      if (page.length < limit) return all;
    }
  }

  it("tells the chats that have messages, and how far these go", async () => {
    const [one, other] = tokens;
    const span = (token: string | undefined, chatNumber: number, range: [number, number]) => ({
      ...{ applicationToken: token, chatNumber },
      range: { firstNumber: range[0], lastNumber: range[1] },
    });
    for (const limit of [1, 2, 3, 10]) {
      expect(await walk((page) => upkeep.listSpans(page), limit)).to.deep.equal([
        span(one, 1, [2, 5]),
        span(one, 2, [7, 7]),
        span(other, 1, [1, 3]),
      ]);
    }
  });

  it("tells every counter that has a row, with its stored count and highest row", async () => {
    const [one, other] = tokens;
    for (const limit of [1, 2, 5, 10]) {
      expect(await walk((page) => upkeep.listCounters(page), limit)).to.deep.equal([
        { counter: { applicationToken: one }, stored: 0, highestRow: 3 },
        { counter: { applicationToken: one, chatNumber: 1 }, stored: 0, highestRow: 5 },
        { counter: { applicationToken: one, chatNumber: 3 }, stored: 0, highestRow: 0 },
        { counter: { applicationToken: other }, stored: 0, highestRow: 1 },
        { counter: { applicationToken: other, chatNumber: 1 }, stored: 0, highestRow: 3 },
      ]);
    }
    const [application, chat] = await upkeep.drawPosition();
    expect(application).to.be.within(0, 2);
    expect(chat).to.equal(-1);
  });

  it("mends a count in both directions, and none that has changed meanwhile", async () => {
    const counter = { applicationToken: tokens[1]!, chatNumber: 1 };
    expect(await upkeep.mendCount({ counter, from: 1, to: 3 })).to.equal(false);
    expect(await upkeep.mendCount({ counter, from: 0, to: 3 })).to.equal(true);
    expect(await upkeep.countMessages()).to.equal(3);
    expect(await upkeep.mendCount({ counter, from: 3, to: 0 })).to.equal(true);
    expect(await upkeep.countMessages()).to.equal(0);
    const nobody = { applicationToken: "nobody", chatNumber: 1 };
    expect(await upkeep.mendCount({ counter: nobody, from: 0, to: 3 })).to.equal(false);
  });

  it("remembers the latest run of each chore", async () => {
    expect(await upkeep.listChoreRuns()).to.deep.equal([]);
    const early = new Date("2026-01-02T03:04:05.006Z");
    const late = new Date("2026-01-02T03:04:05.007Z");
    for (const beganTime of [early, late, early]) {
      await upkeep.noteChoreRun({ name: "sync", beganTime });
    }
    await upkeep.noteChoreRun({ name: "other", beganTime: early });
    expect(await upkeep.listChoreRuns()).to.deep.equal([
      { name: "other", beganTime: early },
      { name: "sync", beganTime: late },
    ]);
  });

  it("sums the numbers that are void", async () => {
    expect(await upkeep.sumVoids()).to.equal(0);
    const { ledger } = parley.system.stack;
    const counter = { applicationToken: tokens[1]!, chatNumber: 1 };
    await ledger.insertVoids(counter, { firstNumber: 4, lastNumber: 9 });
    await ledger.insertVoids({ applicationToken: tokens[1]! }, { firstNumber: 2, lastNumber: 2 });
    expect(await upkeep.sumVoids()).to.equal(7);
  });

  it("knows the index that the rows were written to", async () => {
    expect(await upkeep.adoptedIndex()).to.equal("");
    await parley.system.stack.store.adoptIndex("an index");
    expect(await upkeep.adoptedIndex()).to.equal("an index");
  });
});
