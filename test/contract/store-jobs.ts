import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { State } from "../../gen/parley/v1/state.ts";
import { UNCHANGED } from "../../src/core/messages.ts";
import type { ChatKey, Store } from "../../src/core/ports.ts";
import { ALL, CREATE_MS, chatJob, kinds, messageJob, numbersFrom } from "./jobs.ts";

const ATTRIBUTES = { b: "2", 10: "ten", 9: "", 'é"\\': "\u{1F468}\n" };

/** What a test starts from: a new application, and two processes on the same data. */
export interface Place {
  store: Store;
  other: Store;
  token: string;
  key: ChatKey;
}

/** How jobs become rows: the part of the store's contract that the worker relies on. */
export function jobsContract(at: Place): void {
  describe("jobs", () => {
    it("become rows, and rows read as they were sent", async () => {
      const requestId = randomUUID();
      const jobs = [
        chatJob(at.token, 1, { requestId }),
        messageJob(at.key, 1),
        messageJob(at.key, 2, { attributes: ATTRIBUTES, originalMs: 1_234 }),
        chatJob(at.token, 2, { externalId: "é ", attributes: ATTRIBUTES }),
      ];
      expect(kinds(await at.store.insertJobs(jobs))).to.deep.equal(Array(4).fill("inserted"));
      const createTime = new Date(CREATE_MS);
      const state = State.STATE_PERSISTED;
      expect(await at.store.findChat(at.key)).to.deep.equal({
        applicationToken: at.token,
        number: 1,
        messagesCount: 0,
        deletedCount: 0,
        countTime: undefined,
        createTime,
        state,
        externalId: "",
        attributes: {},
      });
      expect(await at.store.findChat({ ...at.key, chatNumber: 2 })).to.deep.include({
        externalId: "é ",
        attributes: ATTRIBUTES,
      });
      expect(await at.store.listMessages(at.key, ALL)).to.deep.equal(
        [1, 2].map((number) => ({
          ...UNCHANGED,
          ...(number === 2 && { attributes: ATTRIBUTES, originalTime: new Date(1_234) }),
          ...at.key,
          number,
          body: `message ${number}`,
          author: "ada",
          createTime,
          state,
        })),
      );
    });

    it("may come again, alone, beside new ones, and twice in one batch", async () => {
      const jobs = numbersFrom(1, 5).map((number) => messageJob(at.key, number));
      expect(kinds(await at.store.insertJobs(jobs.slice(0, 3)))).to.not.include("present");
      expect(kinds(await at.other.insertJobs(jobs))).to.deep.equal([
        ...Array(3).fill("present"),
        ...Array(2).fill("inserted"),
      ]);
      expect(
        kinds(await at.store.insertJobs([...jobs, messageJob(at.key, 6), messageJob(at.key, 6)])),
      )
        .to //
        .deep.equal([...Array(5).fill("present"), "inserted", "present"]);
      expect(await at.store.listMessages(at.key, ALL)).to.have.length(6);
      expect(await at.store.insertJobs([])).to.deep.equal([]);
    });

    it("fail where another content has their number, and only they", async () => {
      await at.store.insertJobs([chatJob(at.token, 1), messageJob(at.key, 1)]);
      const requestId = randomUUID();
      const attributes = { a: "b" };
      expect(
        kinds(
          await at.store.insertJobs([
            messageJob(at.key, 1, { attributes }),
            messageJob(at.key, 1, { originalMs: 0 }),
            chatJob(at.token, 1, { attributes }),
            chatJob(at.token, 1, { externalId: "x" }),
            messageJob(at.key, 1, { attributes: {} }),
          ]),
        ),
      ).to.deep.equal([...Array(4).fill("failed"), "present"]);
      const outcomes = await at.store.insertJobs([
        messageJob(at.key, 1, { body: "a secret" }),
        messageJob(at.key, 1, { author: "bob" }),
        messageJob(at.key, 1, { createMs: CREATE_MS + 1 }),
        messageJob(at.key, 1, { requestId }),
        chatJob(at.token, 1, { requestId }),
        messageJob(at.key, 2),
        messageJob(at.key, 2, { body: "a secret" }),
      ]);
      expect(kinds(outcomes)).to.deep.equal([...Array(5).fill("failed"), "inserted", "failed"]);
      const messages = outcomes.map((one) => (one.kind === "failed" ? one.error.message : ""));
      expect(messages.join()).to.not.include("secret");
      expect(messages[0]).to.include("number 1").and.include("body");
      expect(messages[1]).to.include("author");
      expect(messages[2]).to.include("time");
      expect(messages[4]).to.include("request id");
      expect((await at.store.findMessages(at.key, [1]))[0]!.body).to.equal("message 1");
    });

    it("are the same in whatever order their attributes come", async () => {
      const content = { attributes: ATTRIBUTES, originalMs: 5 };
      const jobs = [messageJob(at.key, 1, content), chatJob(at.token, 1, { externalId: "x" })];
      await at.store.insertJobs(jobs);
      const attributes = Object.fromEntries(Object.entries(ATTRIBUTES).reverse());
      const again = [messageJob(at.key, 1, { ...content, attributes }), jobs[1]!];
      expect(kinds(await at.store.insertJobs(again))).to.deep.equal(["present", "present"]);
    });

    it("of chats that share an external id are all kept, and the newest is found", async () => {
      const find = async (externalId: string) =>
        (await at.store.findNamedChat({ applicationToken: at.token, externalId }))?.number;
      expect(await find("x")).to.equal(undefined);
      const named = (number: number, externalId: string) =>
        chatJob(at.token, number, { externalId });
      await at.store.insertJobs([named(70, "x"), named(71, "x "), named(72, "X")]);
      await at.other.insertJobs([named(5, "x"), chatJob(at.token, 6)]);
      expect(await Promise.all(["x", "x ", "X", ""].map(find))).to.deep.equal([
        70,
        71,
        72,
        undefined,
      ]);
      expect(await at.store.listChats(at.token, ALL)).to.have.length(5);
    });

    it("are counted by the numbers that have a row", async () => {
      await at.store.insertJobs([1, 2, 4].map((number) => messageJob(at.key, number)));
      const count = (firstNumber: number, lastNumber: number) =>
        at.store.countMessages(at.key, { firstNumber, lastNumber });
      expect(await Promise.all([count(1, 4), count(2, 3), count(5, 9)])).to.deep.equal([3, 1, 0]);
    });

    it("fail where their application does not exist, and only they", async () => {
      const outcomes = await at.store.insertJobs([
        chatJob(randomUUID(), 1),
        messageJob(at.key, 1),
        messageJob({ ...at.key, applicationToken: "no token at all, é" }, 2),
      ]);
      expect(kinds(outcomes)).to.deep.equal(["failed", "inserted", "failed"]);
    });

    it("fail where a value cannot be stored, and only they", async () => {
      const bad = null as unknown as string;
      const jobs = numbersFrom(1, 40).map((number) => messageJob(at.key, number));
      jobs[3] = messageJob(at.key, 4, { author: bad });
      jobs[38] = messageJob(at.key, 39, { body: bad });
      const outcomes = kinds(await at.store.insertJobs([chatJob(at.token, 1), ...jobs]));
      expect(outcomes.filter((kind) => kind === "inserted")).to.have.length(39);
      expect(outcomes.indexOf("failed")).to.equal(4);
      expect(outcomes.lastIndexOf("failed")).to.equal(39);
      expect(await at.store.listMessages(at.key, ALL)).to.have.length(38);
    });

    it("keep bodies byte by byte", async () => {
      const bodies = [
        "😀👩‍👩‍👧‍👦 \u{1F1E9}\u{1F1EA}",
        "\u200fשלום\u200e, \u202Eright\u202C",
        "é",
        "e\u0301",
        "E",
        "e",
        "e ",
        " \t\n\r trailing \n",
        `it's "quoted" \\ back\\'slashed % _ ? ?? :name \x1a returning`,
        "\uFEFFbom \u2028 \u2029",
        "x".repeat(16 * 1024),
        "\\'".repeat(8 * 1024),
        "漢".repeat(5_461),
      ];
      const jobs = bodies.map((body, index) =>
        messageJob(at.key, index + 1, { body, author: [...body].slice(0, 9).join("") }),
      );
      expect(kinds(await at.store.insertJobs(jobs))).to.not.include("failed");
      const messages = await at.store.listMessages(at.key, ALL);
      expect(messages.map((message) => message.body)).to.deep.equal(bodies);
      expect(messages.map((one) => one.author)).to.deep.equal(jobs.map((one) => one.author));
      expect(new Set(kinds(await at.store.insertJobs(jobs)))).to.deep.equal(new Set(["present"]));
    });

    it("take the largest batch of the largest bodies", async () => {
      const body = "é'".repeat(5_461);
      const jobs = numbersFrom(1, 256).map((number) => messageJob(at.key, number, { body }));
      expect(new Set(kinds(await at.store.insertJobs(jobs)))).to.deep.equal(new Set(["inserted"]));
    });

    it("of overlapping batches at once become one row each", async () => {
      const jobs = numbersFrom(1, 300).map((number) => messageJob(at.key, number));
      const chats = numbersFrom(1, 50).map((number) => chatJob(at.token, number));
      const batches = [0, 50, 100, 150].map((from) => jobs.slice(from, from + 150));
      const outcomes = await Promise.all(
        batches.map((batch, index) =>
          (index % 2 === 0 ? at.store : at.other).insertJobs(
            index < 2 ? [...batch, ...chats] : [...chats, ...batch.reverse()],
          ),
        ),
      );
      const all = outcomes.flatMap(kinds);
      expect(all.filter((kind) => kind === "inserted")).to.have.length(350);
      expect(all.filter((kind) => kind === "present")).to.have.length(800 - 350);
      expect(await at.store.listMessages(at.key, ALL)).to.have.length(300);
      expect(await at.store.listChats(at.token, ALL)).to.have.length(50);
    });
  });
}
