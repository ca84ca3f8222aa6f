import { randomUUID } from "node:crypto";
import { expect } from "chai";
import type { Counter, Ledger, Store } from "../../src/core/ports.ts";
import type { Shared } from "./databases.ts";
import { chatJob, EVERYTHING, messageJob, newApplication, numbersFrom } from "./jobs.ts";
import { type LedgerPlace, voidsContract } from "./ledger-voids.ts";

/** What every Ledger does. `open` makes a fresh database; `missing` says why there is none. */
export function ledgerContract(name: string, open: () => Promise<Shared>, missing?: string): void {
  const suite = missing === undefined ? describe : describe.skip;
  suite(`ledger: ${name}`, () => {
    const at = {} as LedgerPlace;
    let shared: Shared;
    let ledger: Ledger;
    let other: Ledger;
    let store: Store;
    let token: string;

    /** Begins the next epoch as numbering.ts does, and returns it. */
    const nextEpoch = async (): Promise<number> => {
      const { epoch: after } = await ledger.get();
      await ledger.begin({ after, runId: "run" });
      await ledger.confirm({ epoch: after + 1, runId: "run" });
      return after + 1;
    };
    /** Seeds a counter that was lost, so that each time it is given a new start. */
    const seed = async (counter: Counter, known = true) =>
      ledger.grant({ counter, epoch: (await ledger.get()).epoch, known, lost: true });

    before(async () => {
      shared = await open();
      ({ ledger, store } = await shared.open("one"));
      const second = await shared.open("other");
      other = second.ledger;
      Object.assign(at, { ledger, store, other, otherStore: second.store, nextEpoch, seed });
    });
    beforeEach(async () => {
      token = (await store.insertApplication(newApplication())).application.token;
      Object.assign(at, { token, key: { applicationToken: token, chatNumber: 1 } });
    });
    after(() => shared?.close());

    describe("epochs", () => {
      it("begin at 0, which nothing has begun", async () => {
        const fresh = { epoch: 0, pending: false, runId: "", witnessed: 0 };
        expect(await ledger.get()).to.deep.equal(fresh);
      });

      it("are begun by one of many, and count once they are confirmed", async () => {
        const { epoch: after } = await ledger.get();
        const epoch = after + 1;
        const steps = [ledger, other, ledger, other];
        await Promise.all(steps.map((one, index) => one.begin({ after, runId: `run ${index}` })));
        const { runId, ...begun } = await ledger.get();
        expect(begun).to.deep.equal({ epoch, pending: true, witnessed: 0 });
        await other.begin({ after: epoch, runId: "too early" });
        await other.confirm({ epoch: after, runId: "too late" });
        expect(await ledger.get()).to.deep.equal({ ...begun, runId });
        await other.confirm({ epoch, runId: "run 7" });
        const confirmed = { epoch, pending: false, runId: "run 7", witnessed: 0 };
        expect(await ledger.get()).to.deep.equal(confirmed);
        await ledger.confirm({ epoch, runId: "again" });
        await ledger.begin({ after, runId: "late" });
        expect(await ledger.get()).to.deep.equal(confirmed);
      });

      it("go on under another run id", async () => {
        const epoch = await nextEpoch();
        await other.adopt({ epoch: epoch - 1, runId: "old" });
        expect((await ledger.get()).runId).to.equal("run");
        await other.adopt({ epoch, runId: "new" });
        expect((await ledger.get()).runId).to.equal("new");
      });

      it("know the highest running number that anybody noted", async () => {
        const epoch = await nextEpoch();
        const witness = (one: Ledger, processId: string, accepts: number, of = epoch) =>
          one.witness({ processId, epoch: of, accepts });
        await Promise.all([
          witness(ledger, "one", 5),
          witness(ledger, "one", 9),
          witness(other, "other", 7),
        ]);
        await witness(ledger, "one", 3);
        await witness(ledger, "one", 100, epoch - 1);
        expect((await ledger.get()).witnessed).to.equal(9);
        const key = { applicationToken: token, chatNumber: 1 };
        await store.insertJobs([
          messageJob(key, 1, { epoch, accept: 12 }),
          messageJob(key, 2, { epoch, accept: 11 }),
          messageJob(key, 3, { epoch: epoch - 1, accept: 500 }),
        ]);
        expect((await ledger.get()).witnessed).to.equal(12);
        await nextEpoch();
        expect((await ledger.get()).witnessed).to.equal(0);
      });
    });

    describe("grants", () => {
      it("are refused in an epoch that is not the current one, or pending", async () => {
        const epoch = await nextEpoch();
        const counter = { applicationToken: token };
        const grant = (of: number) => ledger.grant({ counter, epoch: of, known: false });
        expect(await grant(epoch - 1)).to.equal("stale");
        expect(await grant(epoch + 1)).to.equal("stale");
        await ledger.begin({ after: epoch, runId: "run" });
        expect(await grant(epoch)).to.equal("stale");
        expect(await grant(epoch + 1)).to.equal("stale");
        await ledger.confirm({ epoch: epoch + 1, runId: "run" });
        expect(await grant(epoch + 1)).to.deep.equal({ start: 0, ceiling: 64 });
      });

      it("have room for all that is asked for at once", async () => {
        const epoch = await nextEpoch();
        const counter = { applicationToken: token };
        const grant = (more: object) => ledger.grant({ counter, epoch, known: true, ...more });
        expect(await grant({ room: 1_000 })).to.deep.equal({ start: 0, ceiling: 1_000 });
        const raised = { start: 0, ceiling: 2_064 };
        expect(await grant({ ceiling: 1_000, room: 9 })).to.deep.equal(raised);
        expect(await grant({ ceiling: 1_000, room: 5_000 }), "raised meanwhile").to.deep.equal(
          raised,
        );
        expect(await grant({ ceiling: 2_064, room: 5_000 })).to.deep.equal({
          start: 0,
          ceiling: 7_064,
        });
      });

      it("are refused for counters that nothing knows", async () => {
        await nextEpoch();
        const chat = (chatNumber: number) => ({ applicationToken: token, chatNumber });
        expect(await seed({ applicationToken: randomUUID() }, true)).to.equal("unknown");
        expect(await seed({ ...chat(1), applicationToken: randomUUID() })).to.equal("unknown");
        for (const number of [1, 2, 3]) expect(await seed(chat(number), false)).to.equal("unknown");
        await store.insertJobs([chatJob(token, 1), messageJob(chat(2), 1)]);
        expect(await seed(chat(1), false)).to.deep.equal({ start: 0, ceiling: 64 });
        expect(await seed(chat(2), false)).to.deep.equal({ start: 0, ceiling: 64 });
        expect(await seed(chat(3), true)).to.deep.equal({ start: 0, ceiling: 64 });
      });

      it("are refused for a chat whose number is void, unless its job was seen", async () => {
        await nextEpoch();
        const chat = { applicationToken: token, chatNumber: 2 };
        await store.insertJobs([chatJob(token, 1), messageJob(chat, 1)]);
        await seed(chat);
        await ledger.insertVoids({ applicationToken: token }, { firstNumber: 1, lastNumber: 5 });
        expect(await seed(chat, false)).to.equal("unknown");
        expect(await seed(chat, true)).to.deep.equal({ start: 64, ceiling: 192 });
        await store.insertJobs([chatJob(token, 2)]);
        expect(await seed(chat, false)).to.deep.equal({ start: 192, ceiling: 448 });
      });

      it("never start below what was given, though the ledger is older", async () => {
        const epoch = await nextEpoch();
        const grant = (atLeast: number) =>
          ledger.grant({ counter: at.key, epoch, known: true, atLeast });
        expect(await grant(500)).to.deep.equal({ start: 500, ceiling: 1_064 });
        expect(
          await ledger.listVoids(at.key, { firstNumber: 1, lastNumber: 1_064 }, 2),
        ).to.deep.equal([{ firstNumber: 1, lastNumber: 500 }]);
        expect(await grant(7)).to.deep.equal({ start: 500, ceiling: 1_064 });
        expect(await grant(501)).to.deep.equal({ start: 1_064, ceiling: 2_192 });
      });

      it("tell one start to all who seed a counter in an epoch", async () => {
        const grant = async (by = ledger) => {
          const { epoch } = await by.get();
          return by.grant({ counter: at.key, epoch, known: true });
        };
        await nextEpoch();
        const grants = await Promise.all([ledger, other, ledger, other].map(grant));
        for (const one of grants) expect(one).to.deep.equal({ start: 0, ceiling: 64 });
        await nextEpoch();
        for (const one of await Promise.all([ledger, other].map(grant))) {
          expect(one).to.deep.equal({ start: 64, ceiling: 192 });
        }
        expect(await ledger.listVoids(at.key, EVERYTHING, 2)).to.deep.equal([
          { firstNumber: 1, lastNumber: 64 },
        ]);
      });

      it("are still to come for counters that were not seeded in the epoch", async () => {
        const mine = async () =>
          (await ledger.listUnseeded(1_000))
            .filter((one) => one.applicationToken === token)
            .map(({ position: _, ...counter }) => counter);
        await nextEpoch();
        await seed(at.key);
        expect(await mine()).to.deep.equal([{ applicationToken: token }]);
        await seed({ applicationToken: token });
        expect(await mine()).to.deep.equal([]);
        await nextEpoch();
        expect(await mine()).to.deep.equal([{ applicationToken: token }, at.key]);
        const [first] = await ledger.listUnseeded(1);
        const others = await ledger.listUnseeded(1_000, first!.position);
        expect(others).to.have.length((await ledger.listUnseeded(1_000)).length - 1);
      });

      it("never share a start where a counter is lost, also when many seed at once", async () => {
        await nextEpoch();
        const grants = await Promise.all(numbersFrom(1, 8).map(() => seed(at.key)));
        const starts = grants.map((one) => (one as { start: number }).start);
        expect(new Set(starts).size).to.equal(8);
        const ceilings = grants.map((one) => (one as { ceiling: number }).ceiling);
        expect(Math.max(...starts)).to.be.lessThan(Math.max(...ceilings));
      });

      it("raise once for one ceiling that is reached", async () => {
        const epoch = await nextEpoch();
        await seed(at.key);
        const raise = (one: Ledger, ceiling: number) =>
          one.grant({ counter: at.key, epoch, ceiling, known: true });
        const raised = await Promise.all([ledger, other, ledger].map((one) => raise(one, 64)));
        for (const one of raised) expect(one).to.deep.include({ ceiling: 192 });
        expect(await raise(ledger, 192)).to.deep.include({ ceiling: 448 });
        expect(await raise(other, 192)).to.deep.include({ ceiling: 448 });
        expect(await ledger.listVoids(at.key, EVERYTHING, 10)).to.deep.equal([]);
      });

      it("double their blocks up to the last size", async () => {
        const epoch = await nextEpoch();
        await seed(at.key);
        let ceiling = 64;
        const blocks: number[] = [];
        while (blocks.length < 13) {
          const granted = await ledger.grant({ counter: at.key, epoch, ceiling, known: true });
          const next = (granted as { ceiling: number }).ceiling;
          blocks.push(next - ceiling);
          ceiling = next;
        }
        const doubled = numbersFrom(1, 10).map((power) => 64 * 2 ** power);
        expect(blocks).to.deep.equal([...doubled, 65_536, 65_536, 65_536]);
      });
    });

    voidsContract(at);
  });
}
