import { expect } from "chai";
import { jobIdOf } from "../../src/core/jobs.ts";
import { type IntakeBounds, newChat, newRequest, Trusted } from "./intakes.ts";
import { CREATE_MS, numbersFrom } from "./jobs.ts";

const kindsOf = (results: { kind: string }[]) => results.map((one) => one.kind).sort();

/** The part of the intake's contract that is about messages which are accepted together. */
export function batchContract(open: (bounds?: Partial<IntakeBounds>) => Promise<Trusted>): void {
  describe("acceptBatch", () => {
    it("gives consecutive numbers, and leaves each job as if it had come alone", async () => {
      const one = await open();
      const [chat, other] = [newChat(), newChat()];
      await one.seed(chat, 10);
      await one.seed(other);
      await one.take(chat);
      await one.take(other);
      const request = newRequest();
      const more = { attributes: { a: 'b"' }, originalMs: 7 };
      const contents = [
        { author: "ada", body: 'a "quoted"\n\u{1F468}' },
        { author: "", body: "b", ...more },
        { author: "bob", body: "c", attributes: {} },
      ];
      const given = { kind: "accepted", number: 2, accept: 5, left: 6 };
      expect(await one.acceptBatch(chat, contents, { request })).to.deep.equal(given);
      const found = await one.intake.find(
        numbersFrom(1, 5).map((n) => jobIdOf({ ...chat, number: n })),
      );
      const base = {
        kind: "message",
        ...chat,
        createMs: CREATE_MS,
        requestId: request.id,
        epoch: 1,
      };
      expect(found.slice(1)).to.deep.equal([
        { parked: false, job: { ...base, number: 2, accept: 3, ...contents[0] } },
        { parked: false, job: { ...base, number: 3, accept: 4, ...contents[1] } },
        { parked: false, job: { ...base, number: 4, accept: 5, author: "bob", body: "c" } },
        undefined,
      ]);
      expect(await one.intake.counts([chat])).to.deep.equal([4]);
      expect((await one.intake.inspect()).accepts).to.equal(5);
      expect(await one.intake.backlog()).to.deep.equal({ jobs: 5, requestIds: 1 });
      expect(await one.intake.areChanged([chat])).to.deep.equal([true]);
      expect(await one.take(chat)).to.equal(5);
    });

    it("takes a thousand, and gives callers at once ranges that do not meet", async () => {
      const [one, other] = [await open(), await open()];
      const chat = newChat();
      await one.seed(chat);
      expect(await one.acceptBatch(chat, 1_000)).to.deep.include({ number: 1, accept: 1_000 });
      const sizes = numbersFrom(1, 24);
      const results = await Promise.all(
        sizes.map((size) => (size % 2 ? one : other).acceptBatch(chat, size)),
      );
      const numbers = results.flatMap((result, at) => {
        if (result.kind !== "accepted") throw new Error(result.kind);
        return numbersFrom(result.number, result.number + sizes[at]! - 1);
      });
      expect(numbers.sort((a, b) => a - b)).to.deep.equal(numbersFrom(1_001, 1_300));
      const ids = numbersFrom(1, 1_300).map((number) => jobIdOf({ ...chat, number }));
      expect((await one.intake.find(ids)).map((found) => found?.job.accept)).to.not.include(
        undefined,
      );
    });

    it("is all or nothing where ceiling or backlog has no room for all", async () => {
      const one = await open({ backlogMax: 5 });
      const chat = newChat();
      await one.seed(chat, 4);
      await one.take(chat);
      expect(await one.acceptBatch(chat, 4)).to.deep.equal({ kind: "exhausted", ceiling: 4 });
      await one.raise(chat, 100);
      expect(await one.acceptBatch(chat, 5)).to.deep.equal({ kind: "full" });
      expect(await one.intake.counts([chat])).to.deep.equal([1]);
      expect(await one.intake.backlog()).to.deep.equal({ jobs: 1, requestIds: 0 });
      expect(await one.acceptBatch(chat, 4)).to.deep.include({ number: 2, left: 95 });
      expect((await one.accept(chat)).kind).to.equal("full");
    });

    it("counts as one request id, which answers again what it answered", async () => {
      const one = await open({ backlogMax: 8 });
      const chat = newChat();
      await one.seed(chat);
      const request = newRequest();
      const results = await Promise.all([1, 2, 3].map(() => one.acceptBatch(chat, 4, { request })));
      expect(kindsOf(results)).to.deep.equal(["accepted", "replayed", "replayed"]);
      const replayed = { kind: "replayed", number: 1, createMs: CREATE_MS, accept: 4 };
      expect(results).to.deep.include(replayed);
      const reused = { id: request.id, digest: "ffffffffffffffff" };
      expect(await one.acceptBatch(chat, 4, { request: reused })).to.deep.equal({ kind: "reused" });
      expect(await one.intake.backlog()).to.deep.equal({ jobs: 4, requestIds: 1 });
      expect(await one.acceptBatch(chat, 4)).to.deep.include({ number: 5 });
    });

    it("wants trust and a ceiling as a single accept does", async () => {
      const one = await open();
      const chat = newChat();
      const absent = { kind: "unseeded", value: undefined, lost: false, mark: "" };
      expect(await one.acceptBatch(chat, 2)).to.deep.equal(absent);
      await one.seed(chat);
      const { connection } = one;
      for (const ask of [{ epoch: 2 }, { connection: connection + 1 }, { seen: 1 }]) {
        expect(await one.acceptBatch(chat, 2, ask)).to.deep.equal({ kind: "distrusted" });
      }
      const last = Number.MAX_SAFE_INTEGER;
      const next = await new Trusted(one.intake, 2).begin();
      await next.seed(chat, last, last - 2);
      expect(await next.acceptBatch(chat, 3)).to.deep.equal({ kind: "exhausted", ceiling: last });
      expect(await next.acceptBatch(chat, 2)).to.deep.include({ number: last - 1, left: 0 });
      expect(await next.acceptBatch(chat, 1)).to.deep.equal({ kind: "exhausted", ceiling: last });
    });
  });
}
