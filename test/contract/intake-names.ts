import { expect } from "chai";
import { jobIdOf } from "../../src/core/jobs.ts";
import { type IntakeBounds, newChat, newRequest, Trusted } from "./intakes.ts";
import { numbersFrom } from "./jobs.ts";

const UNNAMED = { kind: "unnamed" };
const existing = (number: number) => ({ kind: "existing", number });

/** The part of the intake's contract that is about external ids. */
export function namesContract(open: (bounds?: Partial<IntakeBounds>) => Promise<Trusted>): void {
  describe("external ids", () => {
    const seeded = async (bounds?: Partial<IntakeBounds>) => {
      const one = await open(bounds);
      const { applicationToken } = newChat();
      await one.seed({ applicationToken });
      const named = (externalId: string, ask: object = {}) =>
        one.accept({ applicationToken }, { externalId, ...ask });
      const find = (externalId: string) => one.intake.findNamed({ applicationToken, externalId });
      return { one, applicationToken, named, find };
    };

    it("give one number to all that come at once, and leave one job", async () => {
      const { one, applicationToken, find } = await seeded();
      const other = await open();
      const results = await Promise.all(
        numbersFrom(1, 32).map((at) =>
          (at % 2 ? one : other).accept({ applicationToken }, { externalId: "x" }),
        ),
      );
      const accepted = results.filter((one) => one.kind === "accepted");
      expect(accepted).to.have.length(1);
      for (const one of results) {
        if (one.kind !== "accepted") expect(one).to.deep.include(existing(1));
      }
      expect(await find("x")).to.equal(1);
      expect((await one.intake.backlog()).jobs).to.equal(1);
      const [found] = await one.intake.find([jobIdOf({ applicationToken, number: 1 })]);
      expect(found?.job).to.deep.include({ kind: "chat", externalId: "x" });
    });

    it("are told apart byte by byte, and by their application", async () => {
      const { one, named, find } = await seeded();
      const texts = ["x", "X", "x ", " x", "é", "e\u0301", "epoch", "\u{1F468}".repeat(255)];
      texts.push("x\n", "x\ny", "\n", '"x"', "\\n", "x\\", "\u007f\u2028", "]", "\t1\r");
      // In one step, where what one of them says could be taken for the words of the next.
      const accepted = await Promise.all(texts.map((text) => named(text)));
      for (const [at, one] of accepted.entries()) {
        expect(one).to.deep.include({ kind: "accepted", number: at + 1 });
      }
      for (const [at, text] of texts.entries()) expect(await find(text)).to.equal(at + 1);
      const elsewhere = { applicationToken: newChat().applicationToken };
      await one.seed(elsewhere);
      expect(await one.take(elsewhere, { externalId: "x" })).to.equal(1);
    });

    it("can be looked up without accepting anything", async () => {
      const { one, named, find } = await seeded();
      expect(await named("x", { lookOnly: true })).to.deep.equal(UNNAMED);
      expect(await find("x")).to.equal(undefined);
      expect((await one.intake.backlog()).jobs).to.equal(0);
      await named("x");
      expect(await named("x", { lookOnly: true })).to.deep.include(existing(1));
      expect(await named("x", { epoch: 2, lookOnly: true })).to.deep.equal({ kind: "distrusted" });
    });

    it("are looked at after the request id and before the backlog", async () => {
      const { named } = await seeded({ backlogMax: 1 });
      const request = newRequest();
      await named("x", { request });
      for (const lookOnly of [true, false]) {
        expect(await named("x", { request, lookOnly })).to.deep.include({
          kind: "replayed",
          number: 1,
        });
        expect(await named("x", { lookOnly })).to.deep.include(existing(1));
        const reused = { ...request, digest: "ffffffffffffffff" };
        expect(await named("x", { request: reused, lookOnly })).to.deep.equal({ kind: "reused" });
      }
      expect(await named("y")).to.deep.equal({ kind: "full" });
      expect(await named("y", { lookOnly: true })).to.deep.equal(UNNAMED);
    });

    it("are freed where they still stand for the number that is named", async () => {
      const { one, applicationToken, named, find } = await seeded();
      const free = (number: number) =>
        one.intake.freeName({ applicationToken, externalId: "x", number });
      await free(1);
      await named("x");
      await free(2);
      expect(await named("x")).to.deep.include(existing(1));
      await free(1);
      expect(await find("x")).to.equal(undefined);
      expect(await named("x")).to.deep.include({ kind: "accepted", number: 2 });
    });

    it("outlive an epoch, and go with their application", async () => {
      const { one, applicationToken, named, find } = await seeded();
      await named("x");
      const next = await new Trusted(one.intake, 2).begin();
      const again = () => next.accept({ applicationToken }, { externalId: "x" });
      expect(await again()).to.deep.include(existing(1));
      await one.intake.remove({ applicationToken, chatNumber: 1 });
      await one.intake.remove({ applicationToken }, { value: 1 });
      expect(await find("x"), "closed").to.equal(1);
      await one.intake.remove({ applicationToken });
      expect(await find("x")).to.equal(undefined);
      expect((await again()).kind).to.equal("unseeded");
      await one.intake.erase([{ applicationToken }]);
      expect(await find("x")).to.equal(undefined);
    });
  });
}
