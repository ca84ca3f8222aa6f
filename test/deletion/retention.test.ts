import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import type { MessageJob } from "../../src/core/jobs.ts";
import { PURGE_AGAIN_MS } from "../../src/core/limits.ts";
import { repairIndex, syncCounts } from "../../src/worker/chores.ts";
import { expireMessages, purge } from "../../src/worker/purge.ts";
import { indexed, residueOf, settleIndex } from "../support/residue.ts";
import { describeStacks, freshPlace, refusalOf, start, useSystem } from "../support/system.ts";

const DAY_MS = 24 * 60 * 60_000;
const waitFor = State.STATE_PERSISTED;

describeStacks("retention", (stack) => {
  const parley = useSystem(stack);
  let applicationToken: string;
  let key: { applicationToken: string; chatNumber: number };

  beforeEach(async () => {
    const answer = await parley.clients.createApplication({ application: { name: "old" } });
    applicationToken = answer.application!.token;
    await parley.clients.createChat({ applicationToken, waitFor: State.STATE_PERSISTED });
    key = { applicationToken, chatNumber: 1 };
  });

  const say = async (body: string, more: object = {}) =>
    (await parley.clients.createMessage({ ...key, message: { body }, waitFor, ...more })).message!;
  const list = async () => {
    const { messages, voids } = await parley.clients.listMessages(key);
    return { bodies: messages.map((one) => one.body), voids };
  };
  const search = (query: string) => parley.clients.searchMessages({ ...key, query });
  const expire = (days: number, now: Date) => expireMessages(parley.system.stack, { days, now });
  async function purgeAt(ms: number): Promise<void> {
    await settleIndex(parley);
    await purge(parley.system.stack, new Date(ms));
    await settleIndex(parley);
  }

  /** Two old messages and a young one, and the moment at which that is so. */
  async function age(): Promise<Date> {
    await say("old one");
    const second = await say("old two");
    await new Promise((resolve) => setTimeout(resolve, 5));
    await say("young");
    await indexed(parley, key, 3);
    return new Date(second.createTime!.getTime() + 1 + 2 * DAY_MS);
  }

  it("deletes what is older than its days, in rows, index and count", async () => {
    const now = await age();
    await syncCounts(parley.system.stack, () => now);
    expect(await expire(3, now)).to.equal(0);
    expect(await expire(2, now)).to.be.at.least(2);
    expect(await list()).to.deep.equal({
      bodies: ["young"],
      voids: [{ firstNumber: 1, lastNumber: 2 }],
    });
    const refusal = await refusalOf(parley.clients.getMessage({ ...key, number: 1 }));
    expect(refusal.reason).to.equal("NUMBER_VOID");
    const { chat } = await parley.clients.getChat({ applicationToken, number: 1 });
    expect(chat!.messagesCount).to.equal(1);
    expect((await search("old")).results).to.deep.equal([]);
    expect((await search("young")).results).to.have.length(1);
    await purgeAt(now.getTime());
    await purgeAt(now.getTime() + PURGE_AGAIN_MS);
    expect(await parley.system.stack.index.extent(key)).to.deep.equal({ count: 1, lastNumber: 3 });
    expect(await residueOf(parley, applicationToken)).to.not.have.property("deletions");
    expect((await say("next")).number).to.equal(4);
    await syncCounts(parley.system.stack, () => now);
    const after = await parley.clients.getChat({ applicationToken, number: 1 });
    expect(after.chat!.messagesCount).to.equal(2);
  });

  it("says how far is searchable while old documents are still there, and after", async () => {
    const now = await age();
    await expire(2, now);
    await settleIndex(parley);
    expect((await search("young")).indexedThroughNumber).to.equal(3);
    // A hole above the old documents, as many as they are: their number must not fill it.
    const { stack: parts } = parley.system;
    const job = (number: number): MessageJob => ({
      ...{ kind: "message", ...key, number, body: "unseen", author: "", createMs: now.getTime() },
      ...{ requestId: undefined, epoch: 0, accept: 0 },
    });
    await parts.store.insertJobs([4, 5, 6].map(job));
    await parts.index.index([{ ...job(6), version: 1 }]);
    await settleIndex(parley);
    expect((await search("unseen")).indexedThroughNumber).to.be.at.most(3);
    await parts.index.index([4, 5].map((number) => ({ ...job(number), version: 1 })));
    await settleIndex(parley);
    expect((await search("unseen")).indexedThroughNumber).to.equal(6);
    await purgeAt(now.getTime());
    expect((await search("unseen")).indexedThroughNumber).to.equal(6);
  });

  it("empties a chat, which goes on from its next number and can be deleted", async () => {
    await age();
    const requestId = randomUUID();
    const asked = { requestId };
    await say("asked for", asked);
    const now = new Date(Date.now() + 10 * DAY_MS);
    expect(await expire(1, now)).to.be.at.least(4);
    expect(await list()).to.deep.equal({
      bodies: [],
      voids: [{ firstNumber: 1, lastNumber: 4 }],
    });
    expect((await refusalOf(say("asked for", asked))).reason).to.equal("NUMBER_VOID");
    const other = await refusalOf(say("something else", asked));
    expect(other.reason).to.equal("REQUEST_ID_REUSED");
    expect((await say("goes on")).number).to.equal(5);
    await expire(1, now);
    await parley.clients.deleteChat({ applicationToken, number: 1 });
  });

  it("is not undone by a job that comes again, nor by an index that was lost", async () => {
    const now = await age();
    await expire(2, now);
    const { store, index } = parley.system.stack;
    const late = { kind: "message", ...key, number: 1, body: "old one", author: "" } as const;
    const rest = { createMs: 1, requestId: undefined, epoch: 0, accept: 0 };
    expect(await store.insertJobs([{ ...late, ...rest }])).to.deep.equal([{ kind: "deleted" }]);
    await purgeAt(now.getTime());
    await store.adoptIndex("one before");
    await repairIndex(parley.system.stack);
    await settleIndex(parley);
    expect((await index.extent(key)).count).to.equal(1);
    expect((await list()).bodies).to.deep.equal(["young"]);
  });

  it("runs on the scheduler's clock where days are set", async () => {
    const place = await freshPlace(stack);
    const every = "* * * * * *";
    const clocked = await start(place, ["api", "worker", "scheduler"], {
      PARLEY_RETENTION_DAYS: "1",
      PARLEY_RETENTION_CRON: every,
      PARLEY_PURGE_CRON: every,
    });
    try {
      const answer = await clocked.clients.createApplication({ application: { name: "clock" } });
      const counter = { applicationToken: answer.application!.token, chatNumber: 1 };
      const { store, ledger } = clocked.system.stack;
      const { epoch } = await ledger.get();
      await ledger.grant({ counter, epoch, known: true, lost: true });
      const job = { kind: "message", ...counter, body: "old", author: "" } as const;
      const rest = { requestId: undefined, epoch: 0, accept: 0 };
      const young = Date.now();
      await store.insertJobs([
        { ...job, ...rest, number: 1, createMs: young - 2 * DAY_MS },
        { ...job, ...rest, number: 2, createMs: young },
      ]);
      const left = () => store.findMessages(counter, [1, 2]);
      const endMs = performance.now() + 10_000;
      while ((await left()).length > 1 && performance.now() < endMs) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      expect((await left()).map((one) => one.number)).to.deep.equal([2]);
    } finally {
      await clocked.stop();
      await place.drop();
    }
  });
});
