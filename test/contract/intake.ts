import { expect } from "chai";
import { jobIdOf } from "../../src/core/jobs.ts";
import { REQUEST_IDS_PER_JOB } from "../../src/core/limits.ts";
import { batchContract } from "./intake-batch.ts";
import { countersContract } from "./intake-counters.ts";
import { namesContract } from "./intake-names.ts";
import { removalContract } from "./intake-removal.ts";
import { type IntakeHome, newChat, newRequest, Trusted } from "./intakes.ts";
import { CREATE_MS, numbersFrom } from "./jobs.ts";

/** What every Intake does. `fresh` makes an empty home; `missing` says why there is none. */
export function intakeContract(
  name: string,
  fresh: () => Promise<IntakeHome>,
  missing?: string,
): void {
  const suite = missing === undefined ? describe : describe.skip;
  suite(`intake: ${name}`, () => {
    let home: IntakeHome;
    beforeEach(async () => {
      home = await fresh();
    });
    afterEach(() => home?.close());
    const open = (bounds?: Parameters<IntakeHome["open"]>[0]) =>
      new Trusted(home.open(bounds)).begin();

    describe("accept", () => {
      it("numbers from 1 on, and says how many numbers are left", async () => {
        const one = await open();
        const chat = newChat();
        await one.seed(chat, 3);
        for (const number of [1, 2, 3]) {
          const left = 3 - number;
          const given = { kind: "accepted", number, accept: number, left };
          expect(await one.accept(chat)).to.deep.equal(given);
        }
        expect(await one.accept(chat)).to.deep.equal({ kind: "exhausted", ceiling: 3 });
      });

      it("gives 64 callers over two connections each number once and none twice", async () => {
        const [one, other] = [await open(), await open()];
        const chat = newChat();
        await one.seed(chat);
        const caller = async (at: number) => {
          const numbers: number[] = [];
          for (let round = 0; round < 25; round++) {
            numbers.push(await (at % 2 === 0 ? one : other).take(chat));
          }
          return numbers;
        };
        const callers = await Promise.all(numbersFrom(1, 64).map(caller));
        const given = callers.flat().sort((a, b) => a - b);
        expect(given).to.deep.equal(numbersFrom(1, 1_600));
        for (const own of callers) expect(own).to.deep.equal([...own].sort((a, b) => a - b));
        expect((await one.intake.inspect()).accepts).to.equal(1_600);
      });

      it("leaves the job with the number, and only then", async () => {
        const one = await open();
        const chat = newChat();
        await one.seed(chat, 1);
        const request = newRequest();
        await one.take(chat, { body: 'a "quoted"\n\u{1F468}', request });
        await one.accept(chat);
        const ids = [1, 2].map((number) => jobIdOf({ ...chat, number }));
        const [first, second] = await one.intake.find(ids);
        expect(second).to.equal(undefined);
        expect(first).to.deep.equal({
          parked: false,
          job: {
            kind: "message",
            ...chat,
            number: 1,
            createMs: CREATE_MS,
            requestId: request.id,
            epoch: 1,
            accept: 1,
            author: "ada",
            body: 'a "quoted"\n\u{1F468}',
          },
        });
        expect(await one.intake.backlog()).to.deep.equal({ jobs: 1, requestIds: 1 });
      });

      it("makes the counter of a chat with the chat", async () => {
        const one = await open();
        const { applicationToken } = newChat();
        await one.seed({ applicationToken });
        expect(await one.take({ applicationToken })).to.equal(1);
        const chat = { applicationToken, chatNumber: 1 };
        const none = { applicationToken, chatNumber: 2 };
        const counts = await one.intake.counts([chat, { applicationToken }, none]);
        expect(counts).to.deep.equal([0, 1, undefined]);
        expect(await one.accept(chat)).to.deep.equal({
          kind: "unseeded",
          value: 0,
          lost: false,
          mark: "",
        });
        const absent = { kind: "unseeded", value: undefined, lost: false, mark: "" };
        expect(await one.accept(none)).to.deep.equal(absent);
        const [found] = await one.intake.find([jobIdOf({ applicationToken, number: 1 })]);
        expect(found?.job).to.deep.include({ kind: "chat", number: 1, requestId: undefined });
      });

      it("gives numbers up to the last that JavaScript can count to", async () => {
        const one = await open();
        const chat = newChat();
        const last = Number.MAX_SAFE_INTEGER;
        await one.seed(chat, last, last - 3);
        for (const number of [last - 2, last - 1, last]) {
          expect(await one.take(chat)).to.equal(number);
          const [found] = await one.intake.find([jobIdOf({ ...chat, number })]);
          expect(found?.job.number).to.equal(number);
        }
        expect(await one.accept(chat)).to.deep.equal({ kind: "exhausted", ceiling: last });
        expect(await one.intake.counts([chat])).to.deep.equal([last]);
      });
    });

    describe("request ids", () => {
      it("answer again what they answered, and use no number", async () => {
        const one = await open();
        const chat = newChat();
        await one.seed(chat);
        const request = newRequest();
        await one.take(chat);
        expect(await one.take(chat, { request, createMs: 1_234_567_890_123 })).to.equal(2);
        // With the running number of now: whoever answers so must see that it was given.
        const replayed = { kind: "replayed", number: 2, createMs: 1_234_567_890_123, accept: 2 };
        expect(await one.accept(chat, { request })).to.deep.equal(replayed);
        const reused = { id: request.id, digest: "ffffffffffffffff" };
        expect(await one.accept(chat, { request: reused })).to.deep.equal({ kind: "reused" });
        expect(await one.take(chat)).to.equal(3);
      });

      it("belong to their parent", async () => {
        const one = await open();
        const [chat, other] = [newChat(), newChat()];
        const application = { applicationToken: chat.applicationToken };
        const request = newRequest();
        for (const counter of [chat, other, application]) {
          await one.seed(counter);
          expect(await one.take(counter, { request })).to.equal(1);
        }
      });

      it("give one number to callers that come at once", async () => {
        const [one, other] = [await open(), await open()];
        const chat = newChat();
        await one.seed(chat);
        const request = newRequest();
        const results = await Promise.all(
          numbersFrom(1, 32).map((at) => (at % 2 ? one : other).accept(chat, { request })),
        );
        const kinds = results.map((result) => result.kind).sort();
        expect(kinds).to.deep.equal(["accepted", ...Array(31).fill("replayed")]);
        expect(await one.intake.counts([chat])).to.deep.equal([1]);
      });

      it("are answered before the backlog and the ceiling are looked at", async () => {
        const one = await open({ backlogMax: 1 });
        const chat = newChat();
        await one.seed(chat, 1);
        const request = newRequest();
        await one.take(chat, { request });
        expect((await one.accept(chat, { request })).kind).to.equal("replayed");
        expect((await one.accept(chat)).kind).to.equal("full");
      });

      it("are forgotten, a slice of time at a time", async () => {
        const one = await open({ requestIdTtlMs: 100 });
        const chat = newChat();
        await one.seed(chat);
        const request = newRequest();
        await one.take(chat, { request });
        expect((await one.accept(chat, { request })).kind).to.equal("replayed");
        for (;;) {
          if ((await one.intake.backlog()).requestIds === 0) break;
          await new Promise(setImmediate);
        }
        expect(await one.take(chat, { request })).to.equal(2);
        expect((await one.intake.backlog()).requestIds).to.equal(1);
      });
    });

    describe("the backlog", () => {
      it("refuses when it is full, and uses no number", async () => {
        const one = await open({ backlogMax: 2 });
        const chat = newChat();
        await one.seed(chat);
        await one.take(chat);
        await one.take(chat);
        expect(await one.accept(chat)).to.deep.equal({ kind: "full" });
        expect(await one.intake.counts([chat])).to.deep.equal([2]);
        const larger = await open();
        expect(await larger.take(chat)).to.equal(3);
      });

      it("counts request ids in", async () => {
        const count = REQUEST_IDS_PER_JOB;
        const one = await open({ backlogMax: count + 1 });
        const chat = newChat();
        await one.seed(chat);
        for (let at = 0; at < count; at++) await one.take(chat, { request: newRequest() });
        expect(await one.intake.backlog()).to.deep.equal({ jobs: count, requestIds: count });
        expect(await one.accept(chat)).to.deep.equal({ kind: "full" });
      });
    });

    batchContract(open);
    namesContract(open);
    countersContract(open);
    removalContract(open);
  });
}
