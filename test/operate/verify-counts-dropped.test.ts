import { expect } from "chai";
import { State } from "../../src/client.ts";
import { verifyCountsOperation } from "../../src/operate/verify-counts.ts";
import { syncCounts } from "../../src/worker/chores.ts";
import { runHere } from "../support/command.ts";
import { describeStacks, freshPlace, type Place, type Running, start } from "../support/system.ts";

describeStacks("verify-counts after a loss", (stack) => {
  let place: Place;
  let parley: Running;

  before(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
  });

  it("takes a count for no drift that the next sync sets right", async () => {
    const { clients, system } = parley;
    const { application } = await clients.createApplication({ application: { name: "x" } });
    const applicationToken = application!.token;
    await clients.createChat({ applicationToken, waitFor: State.STATE_PERSISTED });
    const key = { applicationToken, chatNumber: 1 };
    const say = () =>
      clients.createMessage({ ...key, message: { body: "x" }, waitFor: State.STATE_PERSISTED });
    for (const _ of [1, 2, 3]) await say();
    // Two jobs that were parked and dropped after a sync had counted them.
    for (const one of [...system.processes].reverse()) if (one !== system.api) await one.stop();
    const { ledger } = system.stack;
    for (const _ of [4, 5]) await clients.createMessage({ ...key, message: { body: "y" } });
    await syncCounts(system.stack, () => new Date());
    await ledger.insertVoids(key, { firstNumber: 4, lastNumber: 5 });
    await clients.createMessage({ ...key, message: { body: "z" } });
    const seen = await runHere(verifyCountsOperation, {}, parley);
    await syncCounts(system.stack, () => new Date());
    const { chat } = await clients.getChat({ applicationToken, number: 1 });
    expect(chat!.messagesCount).to.equal(4);
    expect(seen.lines).to.deep.equal(["2 counters compared: 0 drift"]);
  });
});
