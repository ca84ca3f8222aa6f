import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import type { MessageJob } from "../../src/core/jobs.ts";
import { Applier } from "../../src/worker/apply.ts";
import { repairIndex } from "../../src/worker/chores.ts";
import { reindex } from "../../src/worker/reindex.ts";
import { Wire } from "../contract/wire.ts";
import { indexed, settleIndex } from "../support/residue.ts";
import { productionMissing } from "../support/servers.ts";
import { describeStacks, freshPlace, type Running, start, testLog } from "../support/system.ts";

type Key = { applicationToken: string; chatNumber: number };

const waitFor = State.STATE_PERSISTED;
const now = new Date();
const ANY = { ifVersion: 0, now };

/** A chat with messages that can be found. */
async function newChat({ clients, ...parley }: Running, bodies: string[]): Promise<Key> {
  const { application } = await clients.createApplication({ application: { name: "late" } });
  const key = { applicationToken: application!.token, chatNumber: 1 };
  await clients.createChat({ ...key, waitFor });
  for (const body of bodies) {
    await clients.createMessage({ ...key, message: { body }, waitFor });
  }
  await indexed({ clients, ...parley }, key, bodies.length);
  return key;
}

async function found(parley: Running, key: Key, query: string): Promise<number[]> {
  await settleIndex(parley);
  const { results } = await parley.clients.searchMessages({ ...key, query });
  for (const { segments } of results) {
    expect(segments.some((one) => one.match)).to.equal(true);
  }
  return results.map((one) => one.message!.number);
}

async function gapsOf({ system }: Running, { applicationToken }: Key) {
  const gaps = await system.stack.store.listGaps(1_000);
  return gaps.filter((one) => one.applicationToken === applicationToken);
}

describeStacks("late and repeated work", (stack) => {
  let parley: Running;
  let key: Key;
  let drop: () => Promise<void>;

  before(async () => {
    const place = await freshPlace(stack);
    drop = place.drop;
    parley = await start(place);
    await repairIndex(parley.system.stack);
  });
  after(async () => {
    await parley?.stop();
    await drop?.();
  });
  beforeEach(async () => {
    key = await newChat(parley, ["first words", "second words", "third words"]);
  });

  /** The jobs that made the messages, as a queue may hand them out again. */
  async function jobsAgain(): Promise<MessageJob[]> {
    const rows = await parley.system.stack.store.findMessages(key, [1, 2, 3]);
    const bodies = ["first words", "second words", "third words"];
    return rows.map(({ number, createTime }) => ({
      kind: "message",
      ...key,
      number,
      body: bodies[number - 1]!,
      author: "",
      createMs: createTime!.getTime(),
      requestId: undefined,
      epoch: 1,
      accept: number,
    }));
  }

  async function expectEdited(): Promise<void> {
    expect(await found(parley, key, "words")).to.deep.equal([3]);
    expect(await found(parley, key, "r")).to.deep.equal([3]);
    expect(await found(parley, key, "new")).to.deep.equal([1]);
    const { messages } = await parley.clients.listMessages(key);
    expect(messages.map((one) => one.body)).to.deep.equal(["new text", "", "third words"]);
    expect(await parley.system.stack.index.extent(key)).to.deep.equal({ count: 3, lastNumber: 3 });
  }

  it("undoes no edit and no deletion: jobs that come again, a bulk that was slow", async () => {
    const { store, index, wakeup } = parley.system.stack;
    await parley.clients.updateMessage({ ...key, number: 1, message: { body: "new text" } });
    await parley.clients.deleteMessage({ ...key, number: 2 });
    expect(await gapsOf(parley, key), "the index took both at once").to.deep.equal([]);
    const jobs = await jobsAgain();
    const stopped = new AbortController().signal;
    const applier = new Applier({ store, index, wakeup, log: testLog, stopped });
    expect(await applier.apply(jobs, { wait: false })).to.deep.equal(jobs.map(() => undefined));
    await expectEdited();
    await index.index(jobs.map((job) => ({ ...job, version: 1 })));
    await expectEdited();
  });

  it("finds an edit that a crash kept from the index, and shows nothing wrong before", async () => {
    const { store, index } = parley.system.stack;
    // All that is left of a call whose process ended after the commit.
    await store.updateMessage(key, 1, { body: "new text" }, ANY);
    await store.deleteMessage(key, 2, ANY);
    expect(await index.find({ ...key, parts: ["words"], before: 9, limit: 9 })).to.have.length(3);
    expect(await found(parley, key, "words")).to.deep.equal([3]);
    expect(await found(parley, key, "new")).to.deep.equal([]);
    await repairIndex(parley.system.stack);
    expect(await gapsOf(parley, key)).to.deep.equal([]);
    await expectEdited();
    await index.index((await jobsAgain()).map((job) => ({ ...job, version: 1 })));
    await expectEdited();
  });

  it("is nothing to an index that was built anew from the rows", async () => {
    const { index } = parley.system.stack;
    await parley.clients.updateMessage({ ...key, number: 1, message: { body: "new text" } });
    await parley.clients.deleteMessage({ ...key, number: 2 });
    const run = { signal: new AbortController().signal, progress: () => {} };
    await reindex(parley.system.stack, run);
    await expectEdited();
    await index.index((await jobsAgain()).map((job) => ({ ...job, version: 1 })));
    await expectEdited();
  }).timeout(60_000);
});

const production = productionMissing === undefined ? describe : describe.skip;
production("edits while Elasticsearch is away", () => {
  it("are made all the same, in time, and can be found when it is back", async () => {
    const place = await freshPlace("production");
    const wire = await new Wire(place.env.PARLEY_ELASTICSEARCH_URL!).open();
    const parley = await start(place, ["api", "worker"], { PARLEY_ELASTICSEARCH_URL: wire.href });
    try {
      const key = await newChat(parley, ["old text", "old secret"]);
      await repairIndex(parley.system.stack);
      const edit = (number: number, body: string) =>
        parley.clients.updateMessage({ ...key, number, message: { body } }, { timeoutMs: 3_000 });
      wire.silence();
      expect((await edit(1, "newer text")).message!.version).to.equal(2);
      await wire.close();
      expect((await edit(1, "new text")).message!.version).to.equal(3);
      const { message } = await parley.clients.deleteMessage({ ...key, number: 2 });
      expect(message!.body).to.equal("");
      const [gap] = await gapsOf(parley, key);
      expect(gap!.range).to.deep.equal({ firstNumber: 1, lastNumber: 2 });
      await wire.open();
      await repairIndex(parley.system.stack);
      expect(await gapsOf(parley, key)).to.deep.equal([]);
      expect(await found(parley, key, "new text")).to.deep.equal([1]);
      expect(await found(parley, key, "e")).to.deep.equal([1]);
      expect(await found(parley, key, "old")).to.deep.equal([]);
    } finally {
      await parley.stop();
      await wire.close();
      await place.drop();
    }
  }).timeout(60_000);
});
