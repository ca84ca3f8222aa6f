import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import { runCommand } from "../support/command.ts";
import { describeStacks, freshPlace, type Place, type Running, start } from "../support/system.ts";

describeStacks("sync-counts on the command line", (stack) => {
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

  it("copies counts beside the running system, and where none runs", async () => {
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    const applicationToken = application!.token;
    const create = () =>
      parley.clients.createChat({ applicationToken, waitFor: State.STATE_PERSISTED });
    const count = async () =>
      (await parley.clients.getApplication({ applicationToken })).application!.chatsCount;
    await create();
    const beside = await runCommand(place.env, "sync-counts");
    expect(beside).to.include({ code: 0, stdout: "1 counts copied\n" });
    expect(await count()).to.equal(1);

    await create();
    await parley.stop();
    expect(await runCommand(place.env, "sync-counts")).to.include({ code: 0 });
    parley = await start(place);
    expect(await count()).to.equal(2);
  });

  it("names what is wrong with the command line and ends with 2", async () => {
    const ran = await runCommand(place.env, "sync-counts", "--now");
    expect(ran.code).to.equal(2);
    expect(ran.stderr).to.include("--now");
  });
});
