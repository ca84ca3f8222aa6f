import { expect } from "chai";
import type { Counter } from "../../src/core/ports.ts";
import { type IntakeBounds, newChat, Trusted } from "./intakes.ts";
import { numbersFrom } from "./jobs.ts";

/** The part of the intake's contract that is about epochs, ceilings and counts. */
export function countersContract(open: (bounds?: Partial<IntakeBounds>) => Promise<Trusted>): void {
  describe("trust", () => {
    it("starts without an epoch, and installs one once", async () => {
      const { intake, connection, epoch } = await open();
      const before = await intake.inspect();
      expect(before).to.deep.include({ connection, epoch, accepts: 0 });
      expect(before.runId).to.match(/^\S{16,}$/);
      expect(before.durable).to.be.a("boolean");
      expect(await intake.install({ connection, epoch })).to.equal(false);
      expect(await intake.install({ connection, epoch: 3 })).to.equal(true);
      expect(await intake.install({ connection, epoch: 2 })).to.equal(false);
      expect((await intake.inspect()).epoch).to.equal(3);
    });

    it("begins an epoch without ceilings, and leaves the rest as it is", async () => {
      const one = await open();
      const chat = newChat();
      await one.seed(chat);
      await one.take(chat);
      const next = await new Trusted(one.intake, 2).begin();
      expect(await one.intake.inspect()).to.deep.include({ epoch: 2, accepts: 0 });
      expect(await next.accept(chat)).to.deep.equal({
        kind: "unseeded",
        value: 1,
        lost: false,
        mark: "",
      });
      expect(await one.intake.counts([chat])).to.deep.equal([1]);
      expect((await one.intake.backlog()).jobs).to.equal(1);
      await next.seed(chat, 20, 10);
      const given = { kind: "accepted", number: 11, accept: 1, left: 9 };
      expect(await next.accept(chat)).to.deep.equal(given);
    });

    it("refuses another epoch, another connection, and to know less than the caller", async () => {
      const one = await open();
      const chat = newChat();
      await one.seed(chat);
      await one.take(chat);
      const { connection, epoch } = one;
      const asks = [{ epoch: 2 }, { epoch: 0 }, { connection: connection + 1 }, { seen: 2 }];
      for (const ask of asks) {
        expect(await one.accept(chat, ask), JSON.stringify(ask)).to.deep.equal({
          kind: "distrusted",
        });
      }
      const grant = { counter: chat, start: 5, ceiling: 9, connection, epoch };
      expect(await one.intake.grant({ ...grant, epoch: 2 })).to.equal(false);
      expect(await one.intake.grant({ ...grant, connection: 99 })).to.equal(false);
      expect(await one.intake.install({ connection: 99, epoch: 2 })).to.equal(false);
      expect(await one.take(chat, { seen: 1 })).to.equal(2);
    });
  });

  describe("grant", () => {
    it("seeds once in an epoch, so that two who seed at once agree", async () => {
      const one = await open();
      const chat = newChat();
      expect(await one.seed(chat, 74, 10)).to.equal(true);
      expect(await one.take(chat)).to.equal(11);
      expect(await one.seed(chat, 200, 100)).to.equal(true);
      expect(await one.accept(chat)).to.deep.include({ number: 12, left: 62 });
    });

    it("raises, and never lowers", async () => {
      const one = await open();
      const chat = newChat();
      await one.seed(chat, 1);
      expect(await one.raise(chat, 3)).to.equal(true);
      expect(await one.raise(chat, 2)).to.equal(true);
      expect(await one.accept(chat)).to.deep.include({ number: 1, left: 2 });
    });

    it("does not give a first ceiling by a raise", async () => {
      const one = await open();
      const chat = newChat();
      expect(await one.raise(chat, 10)).to.equal(true);
      const absent = { kind: "unseeded", value: undefined, lost: false, mark: "" };
      expect(await one.accept(chat)).to.deep.equal(absent);
      await one.seed(chat, 5);
      await one.take(chat);
      const next = await new Trusted(one.intake, 2).begin();
      await next.raise(chat, 10);
      expect(await next.accept(chat)).to.deep.equal({
        kind: "unseeded",
        value: 1,
        lost: false,
        mark: "",
      });
    });
  });

  describe("counts", () => {
    it("come in the order asked for", async () => {
      const one = await open();
      const chats = [newChat(), newChat(), newChat()];
      await one.seed(chats[0]!, 9, 4);
      await one.seed(chats[2]!);
      expect(await one.intake.counts(chats)).to.deep.equal([4, undefined, 0]);
      expect(await one.intake.counts([])).to.deep.equal([]);
      expect(await one.intake.find([])).to.deep.equal([]);
    });
  });

  describe("changed", () => {
    const names = (counters: Counter[]) =>
      counters.map((one) => `${one.applicationToken}:${one.chatNumber ?? ""}`).sort();

    it("tells what changed until it is forgotten, also what was seeded above 0", async () => {
      const { intake, ...one } = await changedCounters(await open());
      expect(names(await intake.changed(10))).to.deep.equal(names(one.changed));
      expect(names(await intake.changed(10))).to.deep.equal(names(one.changed));
      await intake.forget(await intake.changed(10));
      await intake.forget(await intake.changed(10));
      expect(await intake.changed(10)).to.deep.equal([]);
    });

    it("tells again what changed after it was told, though it is forgotten then", async () => {
      const one = await open();
      const [chat, other] = [newChat(), newChat()];
      for (const counter of [chat, other]) {
        await one.seed(counter);
        await one.take(counter);
      }
      const told = await one.intake.changed(10);
      await one.take(chat);
      await one.intake.forget(told);
      expect(await one.intake.areChanged([other, chat])).to.deep.equal([false, true]);
      const again = await one.intake.changed(10);
      expect(again).to.deep.equal([chat]);
      await one.intake.forget(again);
      expect(await one.intake.changed(10)).to.deep.equal([]);
    });

    it("loses nothing where two syncs overlap and the later one dies", async () => {
      const one = await open();
      const chat = newChat();
      await one.seed(chat);
      await one.take(chat);
      const first = await one.intake.changed(10);
      await one.take(chat);
      await one.intake.changed(10);
      await one.intake.forget(first);
      expect(await one.intake.changed(10)).to.deep.equal([chat]);
    });

    it("tells all in pages, though some are never forgotten", async () => {
      const one = await open();
      const counters = numbersFrom(1, 40).map(newChat);
      for (const counter of counters) {
        await one.seed(counter);
        await one.take(counter);
      }
      const stuck = new Set(counters.slice(0, 5).map((counter) => counter.applicationToken));
      for (let round = 0; round < 200; round++) {
        const told = await one.intake.changed(4);
        expect(told.length).to.be.within(1, 4);
        await one.intake.forget(told.filter((counter) => !stuck.has(counter.applicationToken)));
      }
      const left = await one.intake.changed(100);
      expect(names(left)).to.deep.equal(names(counters.slice(0, 5)));
    });
  });
}

/** Counters that changed, among others that did not. */
async function changedCounters(one: Trusted) {
  const [chat, seeded, unchanged] = [newChat(), newChat(), newChat()];
  const application = { applicationToken: chat.applicationToken };
  await one.seed(application);
  await one.take(application);
  await one.seed(chat);
  await one.take(chat);
  await one.take(chat);
  await one.seed(seeded, 20, 10);
  await one.seed(unchanged);
  return { intake: one.intake, changed: [application, chat, seeded] };
}
