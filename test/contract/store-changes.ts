import { randomUUID } from "node:crypto";
import { expect } from "chai";
import type { Change } from "../../src/core/changes.ts";
import { ALL, chatJob, kinds, messageJob, numbersFrom } from "./jobs.ts";
import type { Place } from "./store-jobs.ts";

const now = new Date(Date.UTC(2025, 10, 25, 8, 0, 0, 7));
const ANY = { ifVersion: 0, now };

/** How stored messages change: the part of the store's contract that edits rely on. */
export function changesContract(at: Place): void {
  describe("changes", () => {
    beforeEach(async () => {
      const messages = numbersFrom(1, 5).map((number) => messageJob(at.key, number));
      await at.store.insertJobs([chatJob(at.token, 1), ...messages]);
    });

    const update = (number: number, body: string, ifVersion = 0, store = at.store) =>
      store.updateMessage(at.key, number, { body }, { ifVersion, now });
    const find = async (number: number) => (await at.other.findMessages(at.key, [number]))[0]!;
    const gaps = async () =>
      (await at.store.listGaps(1_000)).filter((one) => one.applicationToken === at.token);
    const feed = async (after = 0, limit = 100) =>
      (await at.other.listChanges(at.key, { after, limit })).map(({ changeNumber, message }) => [
        changeNumber,
        message.number,
        message.body,
      ]);

    function changed(change: Change): Change & { kind: "changed" } {
      expect(change.kind).to.equal("changed");
      return change as Change & { kind: "changed" };
    }

    it("give a message a new version, and note that the index lacks it", async () => {
      const before = await find(2);
      const { message, gap } = changed(await update(2, "Größe 👩‍👩‍👧"));
      const expected = { ...before, body: "Größe 👩‍👩‍👧", editTime: now, version: 2 };
      expect(message).to.deep.equal(expected);
      expect(await find(2)).to.deep.equal(expected);
      const [noted] = await gaps();
      expect(noted).to.deep.include({ range: { firstNumber: 2, lastNumber: 2 }, version: gap });
      expect(await at.other.closeGap({ ...at.key, version: gap! })).to.equal(true);
      expect(await gaps()).to.deep.equal([]);
    });

    it("to the same are none", async () => {
      expect(await update(1, "message 1")).to.deep.equal({
        kind: "unchanged",
        message: await find(1),
      });
      expect(await update(1, "message 1", 1)).to.deep.include({ kind: "unchanged" });
      expect(await at.store.changeCount(at.key)).to.equal(0);
      expect((await find(1)).version).to.equal(1);
      expect(await gaps()).to.deep.equal([]);
    });

    it("leave the gap of others to who fills it", async () => {
      const range = { firstNumber: 4, lastNumber: 5 };
      await at.store.noteGaps([{ ...at.key, range }]);
      const [old] = await gaps();
      expect(changed(await update(2, "wide")).gap).to.equal(undefined);
      expect(await at.store.closeGap(old!), "one who read the row before").to.equal(false);
      expect((await gaps())[0]!.range).to.deep.equal({ firstNumber: 2, lastNumber: 5 });
    });

    it("need the version that they name, so that of many at once one wins", async () => {
      expect(await update(1, "never", 2)).to.deep.equal({ kind: "mismatch", version: 1 });
      for (const version of [1, 2, 3]) {
        const racers = numbersFrom(1, 16).map((racer) =>
          update(1, `${version} by ${racer}`, version, racer % 2 ? at.store : at.other),
        );
        const all = await Promise.all(racers);
        expect(all.filter((one) => one.kind === "mismatch")).to.have.length(15);
        const { message } = changed(all.find((one) => one.kind === "changed")!);
        expect(await find(1)).to.deep.equal(message);
        expect(message.version).to.equal(version + 1);
      }
      expect(await feed()).to.have.length(1);
    });

    it("without a version are all made, one after the other", async () => {
      const all = await Promise.all(
        numbersFrom(1, 12).map((racer) =>
          update(1 + (racer % 3), `by ${racer}`, 0, racer % 2 ? at.store : at.other),
        ),
      );
      for (const one of all) changed(one);
      expect(await at.store.changeCount(at.key)).to.equal(12);
      const versions = (await at.store.findMessages(at.key, [1, 2, 3])).map((one) => one.version);
      expect(versions).to.deep.equal([5, 5, 5]);
      const numbers = (await feed()).map(([changeNumber]) => changeNumber as number);
      expect(numbers).to.have.length(3).and.include(12);
      expect([...numbers].sort((one, other) => one - other)).to.deep.equal(numbers);
    });

    it("of a deletion leave a tombstone that is counted", async () => {
      await update(3, "a secret");
      const { message } = changed(await at.store.deleteMessage(at.key, 3, ANY));
      const { body, deleteTime, editTime, version, author } = message;
      expect({ body, deleteTime, editTime, version, author }).to.deep.equal({
        body: "",
        deleteTime: now,
        editTime: now,
        version: 3,
        author: "ada",
      });
      expect(await find(3)).to.deep.equal(message);
      expect((await at.other.findChat(at.key))!.deletedCount).to.equal(1);
      const again = { ifVersion: 1, now: new Date(now.getTime() + 1) };
      expect(await at.other.deleteMessage(at.key, 3, again)).to.deep.equal({
        kind: "unchanged",
        message,
      });
      expect(await update(3, "back")).to.deep.equal({ kind: "tombstone" });
      expect((await at.other.findChat(at.key))!.deletedCount).to.equal(1);
      const late = await at.store.deleteMessage(at.key, 4, { ifVersion: 7, now });
      expect(late).to.deep.equal({ kind: "mismatch", version: 1 });
      const racers = numbersFrom(1, 8).map((racer) =>
        (racer % 2 ? at.store : at.other).deleteMessage(at.key, 4, { ifVersion: 1, now }),
      );
      const ended = (await Promise.all(racers)).map((one) => one.kind);
      expect(ended.filter((kind) => kind === "changed")).to.have.length(1);
      expect((await at.other.findChat(at.key))!.deletedCount).to.equal(2);
    });

    it("are told in their order, each message once, from a number on", async () => {
      await at.store.insertJobs([
        chatJob(at.token, 2),
        messageJob({ ...at.key, chatNumber: 2 }, 1),
      ]);
      await at.store.updateMessage({ ...at.key, chatNumber: 2 }, 1, { body: "other" }, ANY);
      expect(await feed()).to.deep.equal([]);
      await update(5, "five");
      await update(1, "one");
      await at.store.deleteMessage(at.key, 4, ANY);
      await update(5, "five again");
      expect(await at.store.changeCount(at.key)).to.equal(4);
      const all = [
        [2, 1, "one"],
        [3, 4, ""],
        [4, 5, "five again"],
      ];
      expect(await feed()).to.deep.equal(all);
      expect(await feed(0, 2)).to.deep.equal(all.slice(0, 2));
      expect(await feed(2)).to.deep.equal(all.slice(1));
      expect(await feed(4)).to.deep.equal([]);
      const [last] = await at.store.listChanges(at.key, { after: 3, limit: 9 });
      expect(last!.message).to.deep.equal(await find(5));
    });

    it("find nothing where there is no row, or no chat any more", async () => {
      const nowhere = [
        [at.key, 6],
        [{ ...at.key, chatNumber: 9 }, 1],
        [{ ...at.key, applicationToken: randomUUID() }, 1],
      ] as const;
      await at.store.insertJobs([messageJob({ ...at.key, chatNumber: 9 }, 1)]);
      for (const [key, number] of nowhere) {
        const content = { body: "x" };
        expect(await at.store.updateMessage(key, number, content, ANY)).to.deep.equal({
          kind: "missing",
        });
        expect(await at.store.deleteMessage(key, number, ANY)).to.deep.equal({ kind: "missing" });
      }
      const stranger = { ...at.key, applicationToken: randomUUID() };
      expect(await at.store.listChanges(stranger, { after: 0, limit: 9 })).to.deep.equal([]);
      expect(await at.store.changeCount(stranger)).to.equal(0);
    });

    it("are not undone by the job that made the message, when it comes again", async () => {
      await update(1, "edited");
      await at.store.deleteMessage(at.key, 2, ANY);
      const before = await at.store.listMessages(at.key, ALL);
      const jobs = [1, 2, 3].map((number) => messageJob(at.key, number));
      expect(kinds(await at.other.insertJobs(jobs))).to.deep.equal(Array(3).fill("present"));
      const strange = [
        messageJob(at.key, 1, { requestId: randomUUID() }),
        messageJob(at.key, 2, { createMs: 5 }),
      ];
      expect(kinds(await at.other.insertJobs(strange))).to.deep.equal(["failed", "failed"]);
      expect(await at.store.listMessages(at.key, ALL)).to.deep.equal(before);
    });
  });
}
