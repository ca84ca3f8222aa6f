import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import { describeStacks, freshPlace, type Place, type Running, start } from "../support/system.ts";

describeStacks("a counter that was closed by a deletion whose process died", (stack) => {
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

  it("gives no number again after a restart", async () => {
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    const applicationToken = application!.token;
    const waitFor = State.STATE_PERSISTED;
    const { chat } = await parley.clients.createChat({ applicationToken, waitFor });
    await parley.clients.deleteChat({ applicationToken, number: chat!.number, force: true });
    // The one step of an unforced DeleteApplication that is before its decision.
    const closed = await parley.system.stack.intake.remove({ applicationToken }, { value: 1 });
    expect(closed).to.equal(true);
    await parley.stop();
    parley = await start(place);
    const next = await parley.clients.createChat({ applicationToken, waitFor });
    expect(next.chat!.number).to.be.above(chat!.number);
    expect(next.chat!.state).to.equal(State.STATE_PERSISTED);
  });
});
