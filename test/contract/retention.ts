import { expect } from "chai";
import type { Deletions } from "../../src/core/deletion.ts";
import type { ChatKey, Ledger, Store } from "../../src/core/ports.ts";
import { ALL, CREATE_MS, chatJob, EVERYTHING, kinds, messageJob, numbersFrom } from "./jobs.ts";

/** What a test starts from: a new application with a chat. */
export interface RetentionPlace {
  store: Store;
  ledger: Ledger;
  deletions: Deletions;
  token: string;
  key: ChatKey;
  epoch: number;
}

const now = new Date(CREATE_MS + 1_000);
const later = new Date(CREATE_MS + 600_000);

/** The part of the contract of deletions that is about messages which are too old. */
export function retentionContract(at: RetentionPlace): void {
  describe("of old messages", () => {
    const before = new Date(CREATE_MS + 10);
    const step = { before, now, limit: 4 };
    const aged = (number: number, createMs: number) => messageJob(at.key, number, { createMs });

    const numbersOf = async () =>
      (await at.store.listMessages(at.key, ALL)).map((row) => row.number);

    beforeEach(async () => {
      await at.ledger.grant({ counter: at.key, epoch: at.epoch, known: true });
      await at.store.insertJobs([
        ...numbersFrom(1, 6).map((number) => aged(number, CREATE_MS + number)),
        aged(8, CREATE_MS + 9),
        ...[10, 11].map((number) => aged(number, CREATE_MS + number)),
      ]);
    });

    it("go in chunks up to one that is young, and leave one void", async () => {
      expect(await at.deletions.expire(at.key, step)).to.equal(4);
      expect(await numbersOf()).to.deep.equal([5, 6, 8, 10, 11]);
      expect(await at.deletions.expire(at.key, step)).to.equal(3);
      expect(await at.deletions.expire(at.key, step)).to.equal(0);
      expect(await numbersOf()).to.deep.equal([10, 11]);
      const voids = await at.ledger.listVoids(at.key, EVERYTHING, 100);
      expect(voids).to.deep.equal([{ firstNumber: 1, lastNumber: 8 }]);
      const deletion = (await at.deletions.list(1_000, now)).find(
        (one) => one.counter.applicationToken === at.token,
      );
      expect(deletion).to.deep.include({ counter: at.key, throughNumber: 8 });
      expect(await at.deletions.removeRows(deletion!, 10)).to.equal(0);
      expect(await numbersOf()).to.deep.equal([10, 11]);
    });

    it("are no more among those that were changed, or count as tombstones", async () => {
      await at.store.insertJobs([chatJob(at.token, at.key.chatNumber)]);
      const change = { ifVersion: 0, now };
      for (const number of [1, 2, 10]) await at.store.deleteMessage(at.key, number, change);
      await at.store.updateMessage(at.key, 3, { body: "edited" }, change);
      const counted = async () => (await at.store.findChat(at.key))!.deletedCount;
      const changed = async () =>
        (await at.store.listChanges(at.key, { after: 0, limit: 9 })).map(
          ({ message }) => message.number,
        );
      expect(await counted()).to.equal(3);
      expect(await changed()).to.deep.equal([1, 2, 10, 3]);
      while ((await at.deletions.expire(at.key, step)) > 0);
      expect(await counted()).to.equal(1);
      expect(await changed()).to.deep.equal([10]);
      expect(await at.store.changeCount(at.key), "it never moves back").to.equal(4);
      expect(
        await at.store.updateMessage(at.key, 3, { body: "late" }, change),
        "a void",
      ).to.deep.equal({ kind: "missing" });
    });

    it("are never brought back by a late job, while a lost number is", async () => {
      await at.ledger.insertVoids(at.key, { firstNumber: 9, lastNumber: 9 });
      while ((await at.deletions.expire(at.key, step)) > 0);
      const outcomes = await at.store.insertJobs(
        [3, 7, 9].map((number) => messageJob(at.key, number)),
      );
      expect(kinds(outcomes)).to.deep.equal(["deleted", "deleted", "inserted"]);
      expect(await numbersOf()).to.deep.equal([9, 10, 11]);
      expect(await at.deletions.listDeleted(at.key, [7, 8, 9])).to.deep.equal([7, 8]);
    });

    it("are taken off the count, which a stale sync does not move", async () => {
      const sync = (count: number) =>
        at.store.updateCounts([{ counter: at.key, count }], new Date(CREATE_MS));
      const count = async () => (await at.store.findChat(at.key))!.messagesCount;
      await at.ledger.insertVoids(at.key, { firstNumber: 7, lastNumber: 7 });
      await at.ledger.insertVoids(at.key, { firstNumber: 9, lastNumber: 9 });
      await sync(11);
      expect(await count()).to.equal(9);
      while ((await at.deletions.expire(at.key, step)) > 0);
      expect(await count()).to.equal(2);
      await sync(5);
      expect(await count()).to.equal(2);
      await sync(13);
      expect(await count()).to.equal(4);
    });

    it("are found by the first message of each chat, a page of chats at a time", async () => {
      const all = async (limit: number, date = before) => {
        const found: ChatKey[] = [];
        let after: string | undefined = "";
        while (after !== undefined) {
          const page = await at.deletions.findExpired({ after, before: date, limit });
          found.push(...page.chats);
          after = page.next;
        }
        return found.filter((chat) => chat.applicationToken === at.token);
      };
      expect(await all(1)).to.deep.equal([at.key]);
      expect(await all(1_000, new Date(CREATE_MS + 1))).to.deep.equal([]);
      while ((await at.deletions.expire(at.key, step)) > 0);
      expect(await all(2)).to.deep.equal([]);
      await at.deletions.decide(at.key, { known: true, now });
      expect(await all(2, later), "a deleted chat").to.deep.equal([]);
    });
  });
}
