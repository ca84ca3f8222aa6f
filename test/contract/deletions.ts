import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { DELETED_ALL, type Deletion, type Deletions } from "../../src/core/deletion.ts";
import type { ChatKey, Counter, Ledger, Store } from "../../src/core/ports.ts";
import type { Shared } from "./databases.ts";
import {
  ALL,
  CREATE_MS,
  chatJob,
  EVERYTHING,
  kinds,
  messageJob,
  newApplication,
  numbersFrom,
} from "./jobs.ts";
import { type RetentionPlace, retentionContract } from "./retention.ts";

const now = new Date(CREATE_MS + 1_000);
const later = new Date(CREATE_MS + 600_000);
const known = { known: true, now };

/** What Deletions do. `open` makes a fresh database; `missing` says why there is none. */
export function deletionsContract(
  name: string,
  open: () => Promise<Shared>,
  missing?: string,
): void {
  const suite = missing === undefined ? describe : describe.skip;
  suite(`deletions: ${name}`, () => {
    let shared: Shared;
    let one: { store: Store; ledger: Ledger; deletions: Deletions };
    let other: typeof one;
    let token: string;
    let key: ChatKey;
    let epoch = 0;
    const at = {} as RetentionPlace;

    before(async () => {
      shared = await open();
      one = await shared.open("one");
      other = await shared.open("other");
      await one.ledger.begin({ after: 0, runId: "run" });
      await one.ledger.confirm({ epoch: 1, runId: "run" });
      epoch = 1;
    });
    beforeEach(async () => {
      token = (await one.store.insertApplication(newApplication())).application.token;
      key = { applicationToken: token, chatNumber: 1 };
      await one.store.insertJobs([chatJob(token, 1), chatJob(token, 2)]);
      Object.assign(at, { ...one, token, key, epoch });
    });
    after(() => shared?.close());

    const messages = (numbers: number[], chat = key) =>
      numbers.map((number) => messageJob(chat, number));
    const insert = (numbers: number[]) => one.store.insertJobs(messages(numbers));
    const numbersOf = async () => (await one.store.listMessages(key, ALL)).map((row) => row.number);
    const grant = (counter: Counter) =>
      one.ledger.grant({ counter, epoch, known: true, lost: true });
    const mine = async (date = now): Promise<Deletion[]> =>
      (await one.deletions.list(1_000, date)).filter(
        (deletion) => deletion.counter.applicationToken === token,
      );
    async function purge(deletion: Deletion, limit: number): Promise<number[]> {
      const removed: number[] = [];
      for (;;) {
        const count = await one.deletions.removeRows(deletion, limit);
        if (count === 0) return removed;
        removed.push(count);
      }
    }

    describe("of a chat", () => {
      it("hide its rows at once, and take no others for it", async () => {
        await insert([1, 2, 3]);
        await one.store.insertJobs(messages([1], { ...key, chatNumber: 2 }));
        expect(await one.deletions.decide(key, known)).to.equal("deleted");
        expect(await other.store.findChat(key)).to.equal(undefined);
        expect(await other.store.listMessages(key, ALL)).to.deep.equal([]);
        expect(await other.store.findMessages(key, [1, 2])).to.deep.equal([]);
        const chats = await other.store.listChats(token, ALL);
        expect(chats.map((chat) => chat.number)).to.deep.equal([2]);
        const second = { ...key, chatNumber: 2 };
        expect(await other.store.listMessages(second, ALL)).to.have.length(1);
      });

      it("let no late job bring anything back, alone or beside others", async () => {
        await insert([1]);
        await one.deletions.decide(key, known);
        const jobs = [
          chatJob(token, 1),
          ...messages([1, 2]),
          ...messages([7], { ...key, chatNumber: 2 }),
          chatJob(token, 3),
        ];
        const outcomes = kinds(await other.store.insertJobs(jobs));
        expect(outcomes).to.deep.equal(["deleted", "deleted", "deleted", "inserted", "inserted"]);
        expect(await one.store.findChat(key)).to.equal(undefined);
        expect(await numbersOf()).to.deep.equal([]);
      });

      it("make its number void, in one range with its neighbours", async () => {
        await one.store.insertJobs(numbersFrom(3, 6).map((number) => chatJob(token, number)));
        for (const chatNumber of [3, 5, 4, 1]) {
          await one.deletions.decide({ ...key, chatNumber }, known);
        }
        const voids = await one.ledger.listVoids({ applicationToken: token }, EVERYTHING, 100);
        expect(voids).to.deep.equal([
          { firstNumber: 1, lastNumber: 1 },
          { firstNumber: 3, lastNumber: 5 },
        ]);
        const ask = (numbers: number[]) =>
          one.deletions.listDeleted({ applicationToken: token }, numbers);
        expect(await ask([1, 2, 3, 4, 5, 6])).to.deep.equal([1, 3, 4, 5]);
        expect(await one.deletions.listDeleted(key, [1, 99])).to.deep.equal([1, 99]);
        expect(await one.deletions.listDeleted({ ...key, chatNumber: 2 }, [1])).to.deep.equal([]);
      });

      it("tell a number that was deleted from one that was lost", async () => {
        await one.ledger.insertVoids(
          { applicationToken: token },
          { firstNumber: 3, lastNumber: 4 },
        );
        await one.deletions.decide(key, known);
        const outcomes = await one.store.insertJobs([chatJob(token, 1), chatJob(token, 3)]);
        expect(kinds(outcomes)).to.deep.equal(["deleted", "inserted"]);
      });

      it("let nothing be granted to it any more, also where its key was seen", async () => {
        expect(await grant(key)).to.deep.equal({ start: 0, ceiling: 64 });
        await one.deletions.decide(key, known);
        expect(await grant(key)).to.equal("unknown");
        const raise = { counter: key, epoch, ceiling: 64, known: true };
        expect(await one.ledger.grant(raise)).to.equal("unknown");
        expect(await one.ledger.grant({ counter: key, epoch, known: false })).to.equal("unknown");
      });

      it("are of what exists alone", async () => {
        const ninth = { ...key, chatNumber: 9 };
        expect(await one.deletions.decide(ninth, { known: false, now })).to.equal("missing");
        expect(await one.deletions.decide(ninth, known), "only a job").to.equal("deleted");
        const stranger = { ...key, applicationToken: randomUUID() };
        expect(await one.deletions.decide(stranger, known)).to.equal("missing");
      });

      it("can be asked for again until the intake has let go of it, and not after", async () => {
        expect(await one.deletions.decide(key, known)).to.equal("deleted");
        expect(await other.deletions.decide(key, { known: false, now })).to.equal("deleted");
        await one.deletions.confirm(key);
        expect(await one.deletions.decide(key, { known: false, now })).to.equal("missing");
      });

      it("are refused where another ceiling was granted or rows are there", async () => {
        const ceiling = await one.deletions.ceiling(key);
        expect(ceiling).to.equal(0);
        await grant(key);
        expect(await one.deletions.decide(key, { ...known, ceiling })).to.equal("changed");
        await insert([1]);
        const now64 = await one.deletions.ceiling(key);
        expect(now64).to.equal(64);
        expect(await one.deletions.decide(key, { ...known, ceiling: 64 })).to.equal("changed");
        expect(await numbersOf()).to.deep.equal([1]);
        const second = { ...key, chatNumber: 2 };
        expect(await one.deletions.decide(second, { ...known, ceiling: 0 })).to.equal("deleted");
      });

      it("are purged in chunks, looked at again, and forgotten", async () => {
        await grant(key);
        await insert(numbersFrom(1, 25));
        await one.ledger.insertVoids(key, { firstNumber: 30, lastNumber: 40 });
        await one.store.noteGaps([{ ...key, range: { firstNumber: 1, lastNumber: 2 } }]);
        await one.deletions.decide(key, known);
        const [deletion] = await mine();
        expect(deletion).to.deep.include({
          counter: key,
          throughNumber: DELETED_ALL,
          again: false,
        });
        expect(await purge(deletion!, 10)).to.deep.equal([10, 10, 5, 1, 1]);
        await one.deletions.postpone(deletion!, later);
        expect(await mine()).to.deep.equal([]);
        const [second] = await mine(later);
        expect(second).to.deep.include({ again: true });
        await one.deletions.forget(second!);
        expect(await mine(later)).to.deep.equal([]);
        expect(kinds(await insert([3]))).to.deep.equal(["deleted"]);
      });

      it("meet batches from all sides, and no row is left after the purge", async () => {
        for (let round = 0; round < 8; round++) {
          const chatNumber = 10 + round;
          const chat = { ...key, chatNumber };
          const batch = (first: number) => [
            chatJob(token, chatNumber),
            ...messages(numbersFrom(first, first + 30), chat),
            chatJob(token, 100 + round),
          ];
          const [decided, ...outcomes] = await Promise.all([
            one.deletions.decide(chat, known),
            ...[1, 20, 40, 60].map((first, at) =>
              (at % 2 === 0 ? one : other).store.insertJobs(batch(first)),
            ),
          ]);
          expect(decided).to.equal("deleted");
          for (const outcome of outcomes) expect(kinds(outcome)).to.not.include("failed");
          expect(await other.store.listMessages(chat, ALL)).to.deep.equal([]);
          expect(await other.store.findChat(chat)).to.equal(undefined);
          expect(await other.store.findChat({ ...key, chatNumber: 100 + round })).to.not.equal(
            undefined,
          );
          expect(kinds(await one.store.insertJobs(batch(1)))[0]).to.equal("deleted");
        }
      });
    });

    describe("of an application", () => {
      const counter = () => ({ applicationToken: token });

      it("hide all that is in it, and keep its token and request id", async () => {
        const request = { id: randomUUID(), digest: "d" };
        const made = await one.store.insertApplication(newApplication({ name: "Secret" }), request);
        token = made.application.token;
        key = { applicationToken: token, chatNumber: 1 };
        await one.store.insertJobs([chatJob(token, 1), ...messages([1, 2])]);
        expect(await one.deletions.decide(counter(), known)).to.equal("deleted");
        expect(await other.store.findApplication(token)).to.equal(undefined);
        expect(await other.store.listChats(token, ALL)).to.deep.equal([]);
        expect(await other.store.listMessages(key, ALL)).to.deep.equal([]);
        const change = { name: "x", updateTime: now };
        expect(await other.store.updateApplication(token, change)).to.equal(undefined);
        const listed = await other.store.listApplications({ after: 0, limit: 1_000 });
        expect(listed.map((one) => one.application.token)).to.not.include(token);
        const again = await other.store.insertApplication(newApplication(), request);
        expect(again).to.deep.include({ replayed: true, deleted: true, digest: "d" });
        expect(again.application).to.deep.include({ token, name: "" });
        expect(await one.deletions.listDeleted(counter(), [1, 8])).to.deep.equal([1, 8]);
        expect(await one.deletions.listDeleted(key, [1, 8])).to.deep.equal([1, 8]);
      });

      it("let no late job and no grant bring anything back", async () => {
        await grant(counter());
        await one.deletions.decide(counter(), known);
        const outcomes = await other.store.insertJobs([chatJob(token, 5), ...messages([1])]);
        expect(kinds(outcomes)).to.deep.equal(["deleted", "deleted"]);
        expect(await grant(counter())).to.equal("unknown");
        expect(await grant(key)).to.equal("unknown");
        expect(await one.deletions.decide(key, known)).to.equal("missing");
      });

      it("are purged in chunks, and only they", async () => {
        const { application } = await one.store.insertApplication(newApplication());
        const alien = { applicationToken: application.token, chatNumber: 1 };
        await one.store.insertJobs([chatJob(alien.applicationToken, 1), ...messages([1], alien)]);
        await grant(key);
        await insert(numbersFrom(1, 7));
        await one.store.insertJobs(messages(numbersFrom(1, 8), { ...key, chatNumber: 2 }));
        await one.ledger.insertVoids(key, { firstNumber: 9, lastNumber: 9 });
        await one.store.noteGaps([{ ...key, range: { firstNumber: 1, lastNumber: 2 } }]);
        await one.deletions.decide(counter(), known);
        const [deletion] = await mine();
        expect(deletion).to.deep.include({ counter: counter(), throughNumber: DELETED_ALL });
        const removed = await purge(deletion!, 6);
        // 15 messages, 2 chats, a void, a gap, a ceiling.
        expect(removed).to.deep.equal([6, 6, 3, 2, 1, 1, 1]);
        expect(await one.store.listMessages(alien, ALL)).to.have.length(1);
        expect(kinds(await insert([3]))).to.deep.equal(["deleted"]);
      });

      it("are refused where a chat came since", async () => {
        const step = { ...known, ceiling: 0 };
        expect(await one.deletions.decide(counter(), step)).to.equal("changed");
        const empty = (await one.store.insertApplication(newApplication())).application.token;
        const whole = { applicationToken: empty };
        expect(await one.deletions.decide(whole, step)).to.equal("deleted");
      });
    });

    retentionContract(at);
  });
}
