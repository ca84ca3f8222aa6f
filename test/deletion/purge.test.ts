import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import { PURGE_AGAIN_MS } from "../../src/core/limits.ts";
import { repairIndex, syncCounts } from "../../src/worker/chores.ts";
import { purge } from "../../src/worker/purge.ts";
import { indexed, residueOf, settleIndex } from "../support/residue.ts";
import {
  describeStacks,
  freshPlace,
  type Place,
  type Running,
  refusalOf,
  start,
} from "../support/system.ts";

describeStacks("the purge", (stack) => {
  let place: Place;
  let parley: Running;
  let applicationToken: string;
  let key: { applicationToken: string; chatNumber: number };

  beforeEach(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
    const answer = await parley.clients.createApplication({ application: { name: "purged" } });
    applicationToken = answer.application!.token;
    const waitFor = State.STATE_PERSISTED;
    const chat = { externalId: "purged", attributes: { a: "b" } };
    await parley.clients.createChat({ applicationToken, chat, waitFor });
    key = { applicationToken, chatNumber: 1 };
  });
  afterEach(async () => {
    await parley?.stop();
    await place?.drop();
  });

  const say = (body: string, waitFor: State = State.STATE_ACCEPTED, chatNumber = 1) =>
    parley.clients.createMessage({ applicationToken, chatNumber, message: { body }, waitFor });
  const reasonOf = async (call: Promise<unknown>) => (await refusalOf(call)).reason;
  const deleteChat = (number = 1) =>
    parley.clients.deleteChat({ applicationToken, number, force: true });
  const found = (chatNumber = 1) =>
    parley.system.stack.index.extent({ applicationToken, chatNumber });
  const residue = () => residueOf(parley, applicationToken);

  /** The first look, and the one that comes so long after it. */
  async function purgeTwice(): Promise<void> {
    const now = Date.now() + 60_000;
    for (const date of [now, now + PURGE_AGAIN_MS]) {
      await settleIndex(parley);
      await purge(parley.system.stack, new Date(date));
    }
    await settleIndex(parley);
  }

  /** Ends when no job of the application is left, parked ones apart. */
  async function drained(): Promise<void> {
    const { intake, queue } = parley.system.stack;
    for (;;) {
      const parked = (await queue.listParked(1_000)).length;
      if ((await intake.backlog()).jobs === parked) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  it("leaves nothing of a chat of 10,000 messages, and what else there is as it was", async () => {
    const { store, index } = parley.system.stack;
    await parley.clients.createChat({ applicationToken });
    await say("stays", State.STATE_PERSISTED, 2);
    await say("one", State.STATE_PERSISTED);
    for (let first = 2; first <= 10_000; first += 500) {
      const length = Math.min(500, 10_001 - first);
      const jobs = Array.from({ length }, (_, at) => {
        const job = { kind: "message", ...key, number: first + at, body: "x", author: "" } as const;
        return { ...job, createMs: 1, requestId: undefined, epoch: 0, accept: 0 };
      });
      await store.insertJobs(jobs);
      await index.index(jobs.map((job) => ({ ...job, version: 1 })));
    }
    await indexed(parley, key, 10_000);
    await indexed(parley, { ...key, chatNumber: 2 }, 1);
    await deleteChat();
    await purgeTwice();
    expect(await found()).to.deep.equal({ count: 0, lastNumber: 0 });
    expect(await found(2)).to.deep.equal({ count: 1, lastNumber: 1 });
    const left = await residue();
    expect(left).to.deep.include({ chats: 1, messages: 1, voids: 1 });
    expect(left).to.not.have.any.keys("deletions", "search_gaps", "parked", "jobs");
    if (stack === "production") expect(left).to.deep.include({ keys: 2, ceilings: 2 });
    expect((await say("stays", State.STATE_ACCEPTED, 2)).message!.number).to.equal(2);
  });

  it("leaves nothing of an application", async () => {
    for (const chatNumber of [2, 3, 4]) {
      await parley.clients.createChat({ applicationToken });
      await say("gone", State.STATE_PERSISTED, chatNumber);
      await indexed(parley, { applicationToken, chatNumber }, 1);
    }
    await deleteChat(2);
    await parley.clients.deleteApplication({ applicationToken, force: true });
    await drained();
    await purgeTwice();
    expect(await residue()).to.deep.equal({});
    expect(await found(3)).to.deep.equal({ count: 0, lastNumber: 0 });
    expect(await purge(parley.system.stack, new Date(Date.now() + 1e9))).to.equal(0);
  });

  it("leaves nothing where 8 callers create while it is deleted, chat or application", async () => {
    const accepted = new Map<number, number>();
    for (const whole of [false, true]) {
      let deleting: Promise<unknown> | undefined;
      const callers = Array.from({ length: 8 }, async (_, at) => {
        for (let round = 0; ; round++) {
          if (at === 0 && round === 5) {
            deleting = whole
              ? parley.clients.deleteApplication({ applicationToken, force: true })
              : deleteChat();
          }
          try {
            const { message } = await say(`${at}: ${round}`);
            expect(accepted.get(message!.number), "given twice").to.equal(undefined);
            accepted.set(message!.number, at);
          } catch (error) {
            return (await refusalOf(Promise.reject(error))).reason;
          }
        }
      });
      const reasons = await Promise.all(callers);
      await deleting;
      const gone = whole ? "APPLICATION_NOT_FOUND" : "CHAT_NOT_FOUND";
      expect(new Set(reasons)).to.deep.equal(new Set([gone]));
      expect(await reasonOf(say("after"))).to.equal(gone);
      await drained();
      await purgeTwice();
      const left = whole
        ? {}
        : { voids: 1, ...(stack === "production" && { keys: 1, ceilings: 1, dirty: 1 }) };
      expect(await residue()).to.deep.equal(left);
      expect(await found()).to.deep.equal({ count: 0, lastNumber: 0 });
      if (whole) return;
      // The next round is about another chat, so that there is something to create in.
      const answer = await parley.clients.createApplication({ application: { name: "next" } });
      applicationToken = answer.application!.token;
      key = { applicationToken, chatNumber: 1 };
      await parley.clients.createChat({ applicationToken });
      accepted.clear();
    }
  });

  it("never deletes without force what a caller was given meanwhile", async () => {
    for (let round = 0; round < 10; round++) {
      const { chat } = await parley.clients.createChat({ applicationToken });
      const number = chat!.number;
      const [deleted, said] = await Promise.all([
        parley.clients.deleteChat({ applicationToken, number }).then(
          () => true,
          async (error) => (await refusalOf(Promise.reject(error))).reason,
        ),
        say("in time?", State.STATE_ACCEPTED, number).then(
          () => true,
          async (error) => (await refusalOf(Promise.reject(error))).reason,
        ),
      ]);
      expect([
        [true, "CHAT_NOT_FOUND"],
        ["NOT_EMPTY", true],
      ]).to.deep.include([deleted, said]);
      if (said !== true) continue;
      const { messages } = await parley.clients.listMessages({
        applicationToken,
        chatNumber: number,
      });
      expect(messages.map((one) => one.body)).to.deep.equal(["in time?"]);
    }
  });

  it("takes parked jobs away, and hides them until then", async () => {
    const { store, queue } = parley.system.stack;
    // Another row has the number of the message to come, so that its job fails and is parked.
    const squatter = { kind: "message", ...key, number: 1, body: "other", author: "" } as const;
    const rest = { createMs: 1, requestId: undefined, epoch: 0, accept: 0 };
    await store.insertJobs([{ ...squatter, ...rest }]);
    await say("parked");
    while ((await queue.listParked(10)).length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await deleteChat();
    expect(await reasonOf(parley.clients.getMessage({ ...key, number: 1 }))).to.equal(
      "CHAT_NOT_FOUND",
    );
    expect(await reasonOf(parley.clients.listMessages(key))).to.equal("CHAT_NOT_FOUND");
    await purgeTwice();
    expect(await queue.listParked(10)).to.deep.equal([]);
    expect((await parley.system.stack.intake.backlog()).jobs).to.equal(0);
  });

  it("is not undone by jobs that were queued before, chat and message", async () => {
    await parley.stop();
    parley = await start(place, ["api"]);
    const { chat } = await parley.clients.createChat({ applicationToken });
    const number = chat!.number;
    await say("queued", State.STATE_ACCEPTED, number);
    const refusal = parley.clients.deleteChat({ applicationToken, number });
    expect(await reasonOf(refusal)).to.equal("NOT_EMPTY");
    await deleteChat(number);
    const get = () => parley.clients.getChat({ applicationToken, number });
    expect(await reasonOf(get())).to.equal("NUMBER_VOID");
    const { chats } = await parley.clients.listChats({ applicationToken });
    expect(chats.map((one) => one.number)).to.deep.equal([1]);
    await parley.stop();
    parley = await start(place);
    await drained();
    expect(await reasonOf(get())).to.equal("NUMBER_VOID");
    expect(await parley.system.stack.queue.listParked(10)).to.deep.equal([]);
    await purgeTwice();
    expect(await residue()).to.deep.include({ chats: 1, voids: 1 });
    expect(await found(number)).to.deep.equal({ count: 0, lastNumber: 0 });
  });

  it("forgets a counter's change, so that syncs are not told of it for ever", async () => {
    await say("counted", State.STATE_PERSISTED);
    await deleteChat();
    await syncCounts(parley.system.stack, () => new Date());
    expect(await parley.system.stack.intake.changed(10)).to.deep.equal([]);
    const { application } = await parley.clients.getApplication({ applicationToken });
    expect(application!.chatsCount).to.equal(0);
  });

  it("is not undone by a repair, nor by an index that was lost", async () => {
    await say("back?", State.STATE_PERSISTED);
    await parley.clients.createChat({ applicationToken });
    await say("stays", State.STATE_PERSISTED, 2);
    await indexed(parley, { ...key, chatNumber: 2 }, 1);
    await indexed(parley, key, 1);
    const { store, index } = parley.system.stack;
    await store.adoptIndex("another one before");
    await deleteChat();
    await index.remove({ ...key, throughNumber: 9 });
    await repairIndex(parley.system.stack);
    await settleIndex(parley);
    expect((await found()).count).to.equal(0);
    expect((await found(2)).count).to.equal(1);
    await purgeTwice();
    await repairIndex(parley.system.stack);
    expect((await found()).count).to.equal(0);
    expect(await store.listGaps(10)).to.deep.equal([]);
  });

  it("takes away what a slow worker indexed after the first look; no search shows it", async () => {
    await say("late", State.STATE_PERSISTED);
    await indexed(parley, key, 1);
    await deleteChat();
    const { stack: parts } = parley.system;
    const now = Date.now() + 60_000;
    await purge(parts, new Date(now));
    await parts.index.index([{ ...key, number: 2, body: "late", version: 9 }]);
    await settleIndex(parley);
    expect((await found()).count).to.be.above(0);
    const search = parley.clients.searchMessages({ ...key, query: "late" });
    expect(await reasonOf(search)).to.equal("CHAT_NOT_FOUND");
    await purge(parts, new Date(now + PURGE_AGAIN_MS));
    await settleIndex(parley);
    expect((await found()).count).to.equal(0);
  });
});
