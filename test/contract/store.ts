import { randomUUID } from "node:crypto";
import { expect } from "chai";
import type { ChatKey, NumberPage, Store } from "../../src/core/ports.ts";
import type { Shared } from "./databases.ts";
import { ALL, CREATE_MS, chatJob, messageJob, newApplication, numbersFrom } from "./jobs.ts";
import { changesContract } from "./store-changes.ts";
import { jobsContract, type Place } from "./store-jobs.ts";

/** What every Store does. `open` makes a fresh database; `missing` says why there is none. */
export function storeContract(name: string, open: () => Promise<Shared>, missing?: string): void {
  const suite = missing === undefined ? describe : describe.skip;
  suite(`store: ${name}`, () => {
    const at = {} as Place;
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
      Object.assign(at, { store, other, token, key });
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
        const hard = `returning 'it''s' "x" \\ ? ?? :name -- \x1a`;
        const change = { name: hard, updateTime: new Date(CREATE_MS) };
        expect((await store.updateApplication(token, change))!.name).to.equal(hard);
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

    jobsContract(at);
    changesContract(at);

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
