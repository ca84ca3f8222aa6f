import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import { PURGE_AGAIN_MS } from "../../src/core/limits.ts";
import { expireMessages, purge } from "../../src/worker/purge.ts";
import { indexed, settleIndex } from "../support/residue.ts";
import { describeStacks, freshPlace, type Place, type Running, start } from "../support/system.ts";

describeStacks("an index that is rebuilt while something is deleted", (stack) => {
  let place: Place;
  let parley: Running;
  let applicationToken: string;

  beforeEach(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    applicationToken = application!.token;
    for (const chatNumber of [1, 2]) {
      await parley.clients.createChat({ applicationToken, waitFor: State.STATE_PERSISTED });
      for (const _ of [1, 2]) await say(chatNumber, "old words");
    }
    for (const chatNumber of [1, 2]) await indexed(parley, { applicationToken, chatNumber }, 2);
  });
  afterEach(async () => {
    await parley?.stop();
    await place?.drop();
  });

  const say = (chatNumber: number, body: string, waitFor: State = State.STATE_SEARCHABLE) =>
    parley.clients.createMessage({ applicationToken, chatNumber, message: { body }, waitFor });

  /** A reindex that has read the rows and goes on with others. */
  async function beginRebuild() {
    const { index, store } = parley.system.stack;
    const rebuild = await index.rebuild();
    const page = { after: 0, before: 100, order: "asc", limit: 100 } as const;
    for (const chatNumber of [1, 2]) {
      const rows = await store.listMessages({ applicationToken, chatNumber }, page);
      await rebuild.index(rows.map((row) => ({ ...row, version: 1 })));
    }
    return rebuild;
  }

  /** Both looks of the purge. */
  async function purgeTwice(): Promise<void> {
    const now = Date.now() + 3 * 86_400_000;
    for (const date of [now, now + PURGE_AGAIN_MS]) {
      await settleIndex(parley);
      await purge(parley.system.stack, new Date(date));
    }
    await settleIndex(parley);
  }

  it("has nothing of a chat that was purged before it was swapped in", async () => {
    const rebuild = await beginRebuild();
    await parley.clients.deleteChat({ applicationToken, number: 1, force: true });
    await purgeTwice();
    await rebuild.finish();
    await settleIndex(parley);
    const left = await parley.system.stack.index.extent({ applicationToken, chatNumber: 1 });
    expect(left.count).to.equal(0);
  });

  it("finds by its own words what comes after messages that grew too old", async () => {
    const rebuild = await beginRebuild();
    const now = new Date(Date.now() + 86_400_000 * 2);
    await expireMessages(parley.system.stack, { days: 1, now });
    await purgeTwice();
    await say(2, "theirs");
    await say(1, "ours");
    await rebuild.finish();
    await settleIndex(parley);
    const find = async (query: string) => {
      const request = { applicationToken, chatNumber: 1, query };
      const { results } = await parley.clients.searchMessages(request);
      return results.map((one) => one.message!.body);
    };
    expect(await find("ours")).to.deep.equal(["ours"]);
    expect(await find("theirs")).to.deep.equal([]);
  });
});
