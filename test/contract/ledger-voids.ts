import { expect } from "chai";
import type { NumberRange } from "../../gen/parley/v1/state.ts";
import type { ChatKey, Counter, Ledger, Store } from "../../src/core/ports.ts";
import {
  ALL,
  chatJob,
  EVERYTHING,
  kinds,
  messageJob,
  newApplication,
  numbersFrom,
} from "./jobs.ts";

/** What a test starts from: a new application, and two processes on the same data. */
export interface LedgerPlace {
  ledger: Ledger;
  other: Ledger;
  store: Store;
  otherStore: Store;
  token: string;
  key: ChatKey;
  nextEpoch(): Promise<number>;
  seed(counter: Counter, known?: boolean): Promise<unknown>;
}

const range = (firstNumber: number, lastNumber: number): NumberRange => ({
  firstNumber,
  lastNumber,
});
const ranges = (...pairs: [number, number][]) => pairs.map(([one, other]) => range(one, other));

/** How numbers become void, and rows that come late win over it. */
export function voidsContract(at: LedgerPlace): void {
  const voids = (counter: Counter = at.key, within = EVERYTHING, limit = 10_000) =>
    at.ledger.listVoids(counter, within, limit);
  const insert = (numbers: number[], store = at.store) =>
    store.insertJobs(numbers.map((number) => messageJob(at.key, number)));

  describe("voids", () => {
    it("are the numbers without a row when a counter is seeded above them", async () => {
      await at.nextEpoch();
      await at.seed(at.key);
      await insert([1, 2, 5, 9, 64]);
      expect(await voids()).to.deep.equal([]);
      await at.nextEpoch();
      expect(await at.seed(at.key)).to.deep.equal({ start: 64, ceiling: 192 });
      expect(await voids()).to.deep.equal(ranges([3, 4], [6, 8], [10, 63]));
    });

    it("are reckoned for the chats of an application in the same way", async () => {
      await at.nextEpoch();
      const counter = { applicationToken: at.token };
      await at.seed(counter);
      await at.store.insertJobs([chatJob(at.token, 2), messageJob(at.key, 1)]);
      await at.seed(counter);
      expect(await voids(counter)).to.deep.equal(ranges([1, 1], [3, 64]));
      expect(await voids()).to.deep.equal([]);
      await at.store.insertJobs([chatJob(at.token, 1)]);
      expect(await voids(counter)).to.deep.equal(ranges([3, 64]));
    });

    it("are reckoned once: what came late before the next seed stays a row", async () => {
      await at.nextEpoch();
      await at.seed(at.key);
      await at.seed(at.key);
      expect(await voids()).to.deep.equal(ranges([1, 64]));
      await insert([10, 100]);
      await at.nextEpoch();
      await at.seed(at.key);
      expect(await voids()).to.deep.equal(ranges([1, 9], [11, 64], [65, 99], [101, 192]));
    });

    it("lose numbers whose row comes late, at the ends and in the middle", async () => {
      await at.nextEpoch();
      await at.seed(at.key);
      await at.seed(at.key);
      const late = [1, 2, 30, 32, 64, 70];
      expect(new Set(kinds(await insert(late)))).to.deep.equal(new Set(["inserted"]));
      expect(await voids()).to.deep.equal(ranges([3, 29], [31, 31], [33, 63]));
      expect(new Set(kinds(await insert([30, 31])))).to.deep.equal(
        new Set(["present", "inserted"]),
      );
      expect(await voids()).to.deep.equal(ranges([3, 29], [33, 63]));
      await insert(numbersFrom(1, 64));
      expect(await voids()).to.deep.equal([]);
    });

    it("keep the number of a late job that cannot be stored", async () => {
      await at.nextEpoch();
      await at.seed(at.key);
      await at.seed(at.key);
      const author = null as unknown as string;
      const jobs = [messageJob(at.key, 7, { author }), messageJob(at.key, 8)];
      expect(kinds(await at.store.insertJobs(jobs))).to.deep.equal(["failed", "inserted"]);
      expect(await voids()).to.deep.equal(ranges([1, 7], [9, 64]));
    });

    it("take numbers that were dropped, where they have no row", async () => {
      await at.nextEpoch();
      await insert([2, 5]);
      await at.ledger.insertVoids(at.key, range(2, 2));
      expect(await voids()).to.deep.equal([]);
      await at.ledger.insertVoids(at.key, range(3, 3));
      await at.ledger.insertVoids(at.key, range(1, 7));
      expect(await voids()).to.deep.equal(ranges([1, 1], [3, 3], [4, 4], [6, 7]));
      await at.ledger.insertVoids({ ...at.key, applicationToken: "none" }, range(1, 1));
      await insert([7]);
      expect(await voids()).to.deep.equal(ranges([1, 1], [3, 3], [4, 4], [6, 6]));
    });

    it("that were dropped beyond a start are not reckoned again", async () => {
      await at.nextEpoch();
      await at.seed(at.key);
      await at.ledger.insertVoids(at.key, range(60, 70));
      await at.seed(at.key);
      expect(await voids()).to.deep.equal(ranges([1, 59], [60, 70]));
      await at.seed(at.key);
      expect(await voids()).to.deep.equal(ranges([1, 59], [60, 70], [71, 192]));
    });

    it("are listed within a range, cut at its ends, some at a time", async () => {
      await insert([1, 10, 20, 30, 40]);
      await at.ledger.insertVoids(at.key, range(1, 40));
      const list = (first: number, last: number, limit = 100) =>
        voids(at.key, range(first, last), limit);
      expect(await list(5, 25)).to.deep.equal(ranges([5, 9], [11, 19], [21, 25]));
      expect(await list(1, 40, 2)).to.deep.equal(ranges([2, 9], [11, 19]));
      expect(await list(20, 20)).to.deep.equal([]);
      expect(await list(25, 25)).to.deep.equal(ranges([25, 25]));
      expect(await list(40, 900)).to.deep.equal([]);
      expect(await voids({ applicationToken: "none" })).to.deep.equal([]);
    });

    it("are counted up to a counter's value, many counters at once", async () => {
      await insert([1, 10, 20]);
      await at.ledger.insertVoids(at.key, range(1, 20));
      const stranger = newApplication().token;
      const counters = [
        { counter: at.key, count: 20 },
        { counter: { applicationToken: stranger }, count: 9 },
        { counter: at.key, count: 12 },
        { counter: { applicationToken: at.token }, count: 9 },
        { counter: at.key, count: 1 },
      ];
      expect(await at.ledger.countVoids(counters)).to.deep.equal([17, 0, 10, 0, 0]);
      expect(await at.ledger.countVoids([])).to.deep.equal([]);
    });

    it("and rows never share a number, however late rows and seeds meet", async () => {
      for (let round = 0; round < 12; round++) {
        at.token = (await at.store.insertApplication(newApplication())).application.token;
        at.key = { applicationToken: at.token, chatNumber: 1 };
        await at.nextEpoch();
        await at.seed(at.key);
        const numbers = numbersFrom(1, 60).filter((number) => number % 7 !== round % 7);
        const halves = [numbers.slice(0, 35), numbers.slice(20)];
        await Promise.all([
          insert(halves[0]!),
          at.seed(at.key),
          insert(halves[1]!.reverse(), at.otherStore),
          at.seed(at.key),
        ]);
        await at.seed(at.key);
        const rows = (await at.store.listMessages(at.key, ALL)).map((row) => row.number);
        expect(rows).to.deep.equal(numbers);
        const empty = (await voids()).flatMap((one) =>
          numbersFrom(one.firstNumber, one.lastNumber),
        );
        const all = [...rows, ...empty].sort((one, other) => one - other);
        expect(all).to.deep.equal(numbersFrom(1, 448));
      }
    });
  });
}
