import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import { FOLD_VERSION } from "../../src/core/fold.ts";
import type { MessageJob } from "../../src/core/jobs.ts";
import { repairIndex } from "../../src/worker/chores.ts";
import { elasticOf } from "../support/servers.ts";
import { describeStacks, freshPlace, type Place, type Running, start } from "../support/system.ts";

describeStacks("a message that the index refuses for ever", (stack) => {
  let place: Place;
  let parley: Running;
  let applicationToken: string;
  /** The number of the message that is refused, in chat 1. */
  let bad: number;

  before(async () => {
    place = await freshPlace(stack);
    if (stack === "production") await makePickyIndex();
    parley = await start(place);
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    applicationToken = application!.token;
    const waitFor = State.STATE_PERSISTED;
    for (const _ of [1, 2]) await parley.clients.createChat({ applicationToken, waitFor });
    bad = stack === "production" ? 3 : 2 ** 32;
    for (const chatNumber of [1, 2]) {
      await parley.system.stack.store.insertJobs([1, 2, bad, 4].map((one) => job(chatNumber, one)));
    }
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
  });

  /** One that takes no long text; SQLite's takes no high numbers by itself. */
  async function makePickyIndex(): Promise<void> {
    const { url, alias } = elasticOf(place.env);
    const properties = {
      chat: { type: "keyword" },
      number: { type: "long" },
      pieces: { type: "keyword" },
    };
    const answer = await fetch(`${url}/${alias}-${FOLD_VERSION}`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ mappings: { properties }, aliases: { [alias]: {} } }),
    });
    expect(answer.status).to.equal(200);
  }

  function job(chatNumber: number, number: number): MessageJob {
    const body = chatNumber === 1 && number === bad ? "long ".repeat(3_000) : "short";
    const at = chatNumber === 2 && number === bad ? 3 : number;
    const given = { number: at, createMs: 1, requestId: undefined, epoch: 1, accept: at };
    return { kind: "message", applicationToken, chatNumber, author: "", body, ...given };
  }

  it("keeps no other gap from being closed, and is all that is left of its own", async () => {
    const { store, index } = parley.system.stack;
    const range = { firstNumber: 1, lastNumber: 2 ** 40 };
    const gaps = [1, 2].map((chatNumber) => ({ applicationToken, chatNumber, range }));
    await store.noteGaps(gaps);
    for (const indexed of [7, 0]) {
      const repaired = await repairIndex(parley.system.stack);
      expect(repaired.indexed).to.equal(indexed);
      expect(repaired.refused).to.have.length(1);
      expect(repaired.refused[0]).to.include({ applicationToken, chatNumber: 1, number: bad });
      const left = await store.listGaps(10);
      expect(left).to.have.length(1);
      expect(left[0]).to.deep.include({
        chatNumber: 1,
        range: { firstNumber: bad, lastNumber: bad },
      });
    }
    expect(await index.identity()).to.be.a("string");
  });

  it("leaves gaps to be walked in pages, each once", async () => {
    const { store } = parley.system.stack;
    const range = { firstNumber: 1, lastNumber: 2 };
    await store.noteGaps([1, 2].map((chatNumber) => ({ applicationToken, chatNumber, range })));
    const [first] = await store.listGaps(1);
    const [second] = await store.listGaps(1, first!.position);
    expect([first!.chatNumber, second!.chatNumber]).to.deep.equal([1, 2]);
    expect(await store.listGaps(1, second!.position)).to.deep.equal([]);
  });
});
