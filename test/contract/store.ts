import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { State } from "../../gen/parley/v1/state.ts";
import type { ChatKey, NumberPage, Store } from "../../src/core/ports.ts";
import type { Shared } from "./databases.ts";
import { CREATE_MS, chatJob, messageJob, newApplication, numbersFrom } from "./jobs.ts";

const ALL: NumberPage = { after: 0, before: Number.POSITIVE_INFINITY, order: "asc", limit: 1_001 };
const kinds = (outcomes: { kind: string }[]) => outcomes.map((outcome) => outcome.kind);

/** What every Store does. `open` makes a fresh database; `missing` says why there is none. */
export function storeContract(name: string, open: () => Promise<Shared>, missing?: string): void {
  const suite = missing === undefined ? describe : describe.skip;
  suite(`store: ${name}`, () => {
    let shared: Shared;
    let store: Store;
    let other: Store;
    let token: string;
    let key: ChatKey;

    before(async () => {
      shared = await open();
      store = (await shared.open("one")).store;
      other = (await shared.open("other")).store;
    });
    beforeEach(async () => {
      const { application } = await store.insertApplication(newApplication());
      token = application.token;
      key = { applicationToken: token, chatNumber: 1 };
    });
    after(() => shared?.close());

    describe("applications", () => {
      it("returns what was inserted", async () => {
        const application = newApplication({ name: "  Größe 👩‍👩‍👧 " });
        expect(await store.insertApplication(application)).to.deep.include({
          application,
          replayed: false,
        });
        expect(await store.findApplication(application.token)).to.deep.equal(application);
        expect(await store.findApplication(randomUUID())).to.equal(undefined);
      });

      it("inserts once for one request id, also when two come at once", async () => {
        const request = { id: randomUUID(), digest: "d1" };
        const made = await Promise.all(
          [store, other, store, other].map((one) =>
            one.insertApplication(newApplication(), request),
          ),
        );
        expect(new Set(made.map((one) => one.application.token)).size).to.equal(1);
        expect(made.filter((one) => !one.replayed)).to.have.length(1);
        const again = await store.insertApplication(newApplication(), { ...request, digest: "d2" });
        expect(again).to.deep.include({ replayed: true, digest: "d1" });
        expect(again.application).to.deep.equal(made[0]!.application);
      });

      it("lists in the order of creation, from a position on", async () => {
        const start = (await store.listApplications({ after: 0, limit: 1_000 })).at(-1)!.position;
        const made = [newApplication(), newApplication(), newApplication()];
        for (const application of made) await store.insertApplication(application);
        const first = await store.listApplications({ after: start, limit: 2 });
        expect(first.map((one) => one.application)).to.deep.equal(made.slice(0, 2));
        const next = await store.listApplications({ after: first[1]!.position, limit: 2 });
        expect(next.map((one) => one.application)).to.deep.equal(made.slice(2));
      });

      it("updates the name, also to the same", async () => {
        const updateTime = new Date(CREATE_MS + 5);
        for (const _ of [1, 2]) {
          const changed = await store.updateApplication(token, { name: "New", updateTime });
          expect(changed).to.deep.include({ token, name: "New", updateTime });
        }
        const change = { name: "x", updateTime };
        expect(await store.updateApplication(randomUUID(), change)).to.equal(undefined);
      });

      it("tells names apart byte by byte", async () => {
        for (const text of ["Café", "Cafe\u0301", "café", "Café ", "Cafe"]) {
          const { application } = await store.insertApplication(newApplication({ name: text }));
          expect((await store.findApplication(application.token))!.name).to.equal(text);
        }
        const long = "👍".repeat(255);
        const { application } = await store.insertApplication(newApplication({ name: long }));
        expect((await store.findApplication(application.token))!.name).to.equal(long);
      });

      it("tells tokens apart that share all but one group", async () => {
        const tokens = [
          "0a5d8e7c-1111-4222-8333-444455556666",
          "0a5d8e7c-1111-4222-8333-444455556667",
          "0a5d8e7c-1111-4222-9333-444455556666",
          "0a5d8e7d-1111-4222-8333-444455556666",
        ];
        for (const one of tokens) {
          await store.insertApplication(newApplication({ token: one, name: one }));
        }
        await store.insertJobs(
          tokens.map((applicationToken, at) =>
            messageJob({ applicationToken, chatNumber: 1 }, at + 1),
          ),
        );
        for (const [at, applicationToken] of tokens.entries()) {
          expect((await store.findApplication(applicationToken))!.name).to.equal(applicationToken);
          const messages = await store.listMessages({ applicationToken, chatNumber: 1 }, ALL);
          expect(messages.map((one) => one.number)).to.deep.equal([at + 1]);
        }
        expect(await store.findApplication(tokens[0]!.toUpperCase())).to.equal(undefined);
      });
    });

    describe("jobs", () => {
      it("become rows, and rows read as they were sent", async () => {
        const requestId = randomUUID();
        const jobs = [chatJob(token, 1, { requestId }), messageJob(key, 1), messageJob(key, 2)];
        expect(kinds(await store.insertJobs(jobs))).to.deep.equal(Array(3).fill("inserted"));
        const createTime = new Date(CREATE_MS);
        const state = State.STATE_PERSISTED;
        expect(await store.findChat(key)).to.deep.equal({
          applicationToken: token,
          number: 1,
          messagesCount: 0,
          countTime: undefined,
          createTime,
          state,
        });
        expect(await store.listMessages(key, ALL)).to.deep.equal(
          [1, 2].map((number) => ({
            ...key,
            number,
            body: `message ${number}`,
            author: "ada",
            createTime,
            state,
          })),
        );
      });

      it("may come again, alone, beside new ones, and twice in one batch", async () => {
        const jobs = numbersFrom(1, 5).map((number) => messageJob(key, number));
        expect(kinds(await store.insertJobs(jobs.slice(0, 3)))).to.not.include("present");
        expect(kinds(await other.insertJobs(jobs))).to.deep.equal([
          ...Array(3).fill("present"),
          ...Array(2).fill("inserted"),
        ]);
        expect(kinds(await store.insertJobs([...jobs, messageJob(key, 6), messageJob(key, 6)])))
          .to //
          .deep.equal([...Array(5).fill("present"), "inserted", "present"]);
        expect(await store.listMessages(key, ALL)).to.have.length(6);
        expect(await store.insertJobs([])).to.deep.equal([]);
      });

      it("fail where another content has their number, and only they", async () => {
        await store.insertJobs([chatJob(token, 1), messageJob(key, 1)]);
        const requestId = randomUUID();
        const outcomes = await store.insertJobs([
          messageJob(key, 1, { body: "a secret" }),
          messageJob(key, 1, { author: "bob" }),
          messageJob(key, 1, { createMs: CREATE_MS + 1 }),
          messageJob(key, 1, { requestId }),
          chatJob(token, 1, { requestId }),
          messageJob(key, 2),
          messageJob(key, 2, { body: "a secret" }),
        ]);
        expect(kinds(outcomes)).to.deep.equal([...Array(5).fill("failed"), "inserted", "failed"]);
        const messages = outcomes.map((one) => (one.kind === "failed" ? one.error.message : ""));
        expect(messages.join()).to.not.include("secret");
        expect(messages[0]).to.include("number 1").and.include("body");
        expect(messages[1]).to.include("author");
        expect(messages[2]).to.include("time");
        expect(messages[4]).to.include("request id");
        expect((await store.findMessages(key, [1]))[0]!.body).to.equal("message 1");
      });

      it("fail where their application does not exist, and only they", async () => {
        const outcomes = await store.insertJobs([
          chatJob(randomUUID(), 1),
          messageJob(key, 1),
          messageJob({ ...key, applicationToken: "no token at all, é" }, 2),
        ]);
        expect(kinds(outcomes)).to.deep.equal(["failed", "inserted", "failed"]);
      });

      it("fail where a value cannot be stored, and only they", async () => {
        const bad = null as unknown as string;
        const jobs = numbersFrom(1, 40).map((number) => messageJob(key, number));
        jobs[3] = messageJob(key, 4, { author: bad });
        jobs[38] = messageJob(key, 39, { body: bad });
        const outcomes = kinds(await store.insertJobs([chatJob(token, 1), ...jobs]));
        expect(outcomes.filter((kind) => kind === "inserted")).to.have.length(39);
        expect(outcomes.indexOf("failed")).to.equal(4);
        expect(outcomes.lastIndexOf("failed")).to.equal(39);
        expect(await store.listMessages(key, ALL)).to.have.length(38);
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
        const jobs = bodies.map((body, at) =>
          messageJob(key, at + 1, { body, author: [...body].slice(0, 9).join("") }),
        );
        expect(kinds(await store.insertJobs(jobs))).to.not.include("failed");
        const messages = await store.listMessages(key, ALL);
        expect(messages.map((message) => message.body)).to.deep.equal(bodies);
        expect(messages.map((one) => one.author)).to.deep.equal(jobs.map((one) => one.author));
        expect(new Set(kinds(await store.insertJobs(jobs)))).to.deep.equal(new Set(["present"]));
      });

      it("take the largest batch of the largest bodies", async () => {
        const body = "é'".repeat(5_461);
        const jobs = numbersFrom(1, 256).map((number) => messageJob(key, number, { body }));
        expect(new Set(kinds(await store.insertJobs(jobs)))).to.deep.equal(new Set(["inserted"]));
      });

      it("of overlapping batches at once become one row each", async () => {
        const jobs = numbersFrom(1, 300).map((number) => messageJob(key, number));
        const chats = numbersFrom(1, 50).map((number) => chatJob(token, number));
        const batches = [0, 50, 100, 150].map((from) => jobs.slice(from, from + 150));
        const outcomes = await Promise.all(
          batches.map((batch, at) =>
            (at % 2 === 0 ? store : other).insertJobs(
              at < 2 ? [...batch, ...chats] : [...chats, ...batch.reverse()],
            ),
          ),
        );
        const all = outcomes.flatMap(kinds);
        expect(all.filter((kind) => kind === "inserted")).to.have.length(350);
        expect(all.filter((kind) => kind === "present")).to.have.length(800 - 350);
        expect(await store.listMessages(key, ALL)).to.have.length(300);
        expect(await store.listChats(token, ALL)).to.have.length(50);
      });
    });

    describe("pages", () => {
      beforeEach(async () => {
        const other = { ...key, chatNumber: 2 };
        await store.insertJobs(numbersFrom(1, 10).map((number) => messageJob(key, number)));
        await store.insertJobs(numbersFrom(3, 5).map((number) => messageJob(other, number)));
        await store.insertJobs(numbersFrom(1, 10).map((number) => chatJob(token, number)));
      });

      const pages: [Partial<NumberPage>, number[]][] = [
        [{}, numbersFrom(1, 10)],
        [{ limit: 3 }, [1, 2, 3]],
        [{ after: 3, limit: 3 }, [4, 5, 6]],
        [{ after: 3, before: 6 }, [4, 5]],
        [{ order: "desc", limit: 2 }, [10, 9]],
        [{ order: "desc", before: 4 }, [3, 2, 1]],
        [{ order: "desc", after: 1, before: 4, limit: 1 }, [3]],
        [{ after: 10 }, []],
        [{ after: 5, before: 6 }, []],
      ];
      for (const [page, expected] of pages) {
        it(`list ${JSON.stringify(page)}`, async () => {
          const full = { ...ALL, ...page };
          const messages = await store.listMessages(key, full);
          expect(messages.map((one) => one.number)).to.deep.equal(expected);
          const chats = await store.listChats(token, full);
          expect(chats.map((one) => one.number)).to.deep.equal(expected);
        });
      }

      it("find the messages of some numbers", async () => {
        const found = await store.findMessages(key, [2, 9, 11, 2]);
        expect(found.map((one) => one.number).sort()).to.deep.equal([2, 9]);
        expect(await store.findMessages(key, numbersFrom(1, 1_001))).to.have.length(10);
        expect(await store.findMessages(key, [])).to.deep.equal([]);
        expect(await store.findChat({ ...key, chatNumber: 11 })).to.equal(undefined);
      });

      it("are not read for a caller who has gone", async () => {
        const signal = AbortSignal.abort(new Error("gone"));
        const error = await store.listMessages(key, { ...ALL, signal }).catch((one) => one);
        expect(error.message).to.equal("gone");
      });
    });

    describe("counts", () => {
      const counter = (chatNumber?: number) => ({ applicationToken: token, chatNumber });

      it("are copied in bulk and never move back", async () => {
        await store.insertJobs(numbersFrom(1, 5).map((number) => chatJob(token, number)));
        const first = new Date(CREATE_MS + 1_000);
        const counts = [1, 2, 3].map((number) => ({
          counter: counter(number),
          count: 10 * number,
        }));
        const all = [{ counter: counter(), count: 5 }, ...counts];
        expect(await store.updateCounts(all, first)).to.deep.equal([]);
        const later = new Date(CREATE_MS + 2_000);
        await store.updateCounts([{ counter: counter(3), count: 7 }], later);
        const chats = await store.listChats(token, ALL);
        expect(chats.map((chat) => chat.messagesCount)).to.deep.equal([10, 20, 30, 0, 0]);
        expect(chats[0]!.countTime).to.deep.equal(first);
        expect(chats[2]!.countTime).to.deep.equal(later);
        expect(chats[3]!.countTime).to.equal(undefined);
        expect((await store.findApplication(token))!.chatsCount).to.equal(5);
      });

      it("tell which counters have no row yet", async () => {
        await store.insertJobs([chatJob(token, 1)]);
        const stranger = { applicationToken: randomUUID() };
        const all = [counter(1), counter(2), stranger, counter()];
        const missing = await store.updateCounts(
          all.map((one) => ({ counter: one, count: 1 })),
          new Date(CREATE_MS),
        );
        expect(missing).to.deep.equal([counter(2), stranger]);
      });
    });

    describe("gaps", () => {
      const gap = (first: number, last: number, chatNumber = 1) => ({
        applicationToken: token,
        chatNumber,
        range: { firstNumber: first, lastNumber: last },
      });
      const mine = async () =>
        (await store.listGaps(1_000)).filter((one) => one.applicationToken === token);

      it("widen, and are closed by who has listed them last", async () => {
        await store.noteGaps([gap(5, 6), gap(1, 1, 2)]);
        const [old] = await mine();
        await other.noteGaps([gap(8, 9), gap(3, 3)]);
        expect(await store.closeGap(old!)).to.equal(false);
        const [wide, second] = await mine();
        expect(wide).to.deep.include(gap(3, 9));
        expect(second).to.deep.include(gap(1, 1, 2));
        expect(await store.closeGap(wide!)).to.equal(true);
        expect(await store.closeGap(wide!)).to.equal(false);
        await store.noteGaps([gap(3, 9)]);
        expect(await store.closeGap(wide!), "a gap noted anew").to.equal(false);
        expect(await store.listGaps(1)).to.have.length(1);
      });

      it("cover every message once the index is another one", async () => {
        await store.insertJobs([...numbersFrom(3, 9), 12].map((one) => messageJob(key, one)));
        await store.insertJobs([messageJob({ ...key, chatNumber: 7 }, 2)]);
        await store.noteGaps([gap(1, 4)]);
        await store.adoptIndex(`index-${token}`);
        const noted = await mine();
        expect(await store.adoptIndex(`index-${token}`)).to.equal(false);
        expect(await mine()).to.deep.equal(noted);
        const answers = await Promise.all(
          [store, other].map((one) => one.adoptIndex(`next-${token}`)),
        );
        expect(answers.sort()).to.deep.equal([false, true]);
        const [first, second] = await mine();
        expect(first).to.deep.include(gap(1, 12));
        expect(second).to.deep.include(gap(2, 2, 7));
      });
    });
  });
}
