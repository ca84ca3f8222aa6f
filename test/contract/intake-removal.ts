import { expect } from "chai";
import { newChat, type Trusted } from "./intakes.ts";
import { numbersFrom } from "./jobs.ts";

const ABSENT = { kind: "unseeded", value: undefined, lost: false, mark: "" };

/** The part of the intake's contract that is about counters which are taken away. */
export function removalContract(open: () => Promise<Trusted>): void {
  describe("remove", () => {
    it("takes counter, ceiling and change away, and leaves a mark", async () => {
      const one = await open();
      const [chat, other] = [newChat(), newChat()];
      for (const counter of [chat, other]) {
        await one.seed(counter);
        await one.take(counter);
      }
      expect(await one.intake.markOf(chat)).to.equal("");
      expect(await one.intake.remove(chat)).to.equal(true);
      const mark = await one.intake.markOf(chat);
      expect(mark).to.not.equal("");
      expect(await one.accept(chat)).to.deep.include({ kind: "unseeded", mark });
      expect(await one.intake.counts([chat, other])).to.deep.equal([undefined, 1]);
      expect(await one.intake.changed(10)).to.deep.equal([other]);
      expect(await one.take(other)).to.equal(2);
    });

    it("refuses a seed that was asked for before, and takes one that knows the mark", async () => {
      const one = await open();
      const chat = newChat();
      const { connection, epoch, intake } = one;
      const seed = (mark?: string) =>
        intake.grant({ connection, epoch, counter: chat, start: 64, ceiling: 192, mark });
      await one.seed(chat);
      await intake.remove(chat);
      const first = await intake.markOf(chat);
      expect(await seed()).to.equal(false);
      await one.raise(chat, 1_000);
      expect(await one.accept(chat)).to.deep.include({ kind: "unseeded", mark: first });
      await intake.remove(chat);
      expect(await seed(first), "an older mark").to.equal(false);
      expect(await seed(await intake.markOf(chat))).to.equal(true);
      expect(await one.take(chat)).to.equal(65);
      expect(await intake.markOf(chat)).to.equal("");
    });

    it("closes a counter where it has the value that is named, and only there", async () => {
      const one = await open();
      const [chat, unseen] = [newChat(), newChat()];
      await one.seed(chat);
      await one.take(chat);
      expect(await one.intake.remove(chat, { value: 0 })).to.equal(false);
      expect(await one.intake.remove(chat, { value: undefined })).to.equal(false);
      expect(await one.take(chat)).to.equal(2);
      expect(await one.intake.remove(chat, { value: 2 })).to.equal(true);
      expect((await one.accept(chat)).kind).to.equal("unseeded");
      expect(await one.intake.remove(unseen, { value: undefined })).to.equal(true);
      expect(await one.accept(unseen)).to.deep.include({ kind: "unseeded", lost: false });
      expect(await one.intake.markOf(unseen)).to.match(/^closed:/);
    });

    it("of an application stops all of its chats, and no others", async () => {
      const one = await open();
      const [chat, other] = [newChat(), newChat()];
      const application = { applicationToken: chat.applicationToken };
      for (const counter of [application, chat, other]) await one.seed(counter);
      await one.take(chat);
      expect(await one.intake.remove(application)).to.equal(true);
      const mark = await one.intake.markOf(application);
      const unseeded = { kind: "unseeded", mark };
      expect(await one.accept(application)).to.deep.include(unseeded);
      expect(await one.accept(chat)).to.deep.include(unseeded);
      await one.seed(chat);
      expect(await one.accept(chat), "seeded too late").to.deep.include(unseeded);
      expect(await one.intake.remove(application, { value: undefined })).to.equal(true);
      expect(await one.intake.markOf(application), "is not closed after that").to.equal(mark);
      expect(await one.take(other)).to.equal(1);
    });

    it("of a closed application leaves its chats alone", async () => {
      const one = await open();
      const chat = newChat();
      const application = { applicationToken: chat.applicationToken };
      await one.seed(application);
      await one.seed(chat);
      await one.intake.remove(application, { value: 0 });
      expect(await one.take(chat)).to.equal(1);
    });

    it("keeps nothing of what is erased, at any number of counters", async () => {
      const one = await open();
      const { applicationToken } = newChat();
      const chats = numbersFrom(1, 1_000).map((chatNumber) => ({ applicationToken, chatNumber }));
      for (const counter of [{ applicationToken }, ...chats.slice(0, 9)]) {
        await one.seed(counter);
        await one.take(counter);
      }
      await one.intake.remove({ applicationToken });
      await one.intake.erase([...chats, { applicationToken }]);
      await one.intake.erase([]);
      expect(await one.intake.counts([{ applicationToken }, ...chats.slice(0, 9)])).to.deep.equal(
        Array(10).fill(undefined),
      );
      expect(await one.intake.changed(10)).to.deep.equal([]);
      for (const counter of [{ applicationToken }, chats[0]!]) {
        expect(await one.accept(counter)).to.deep.equal(ABSENT);
      }
    });
  });
}
