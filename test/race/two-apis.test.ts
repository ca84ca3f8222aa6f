import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import { productionMissing } from "../support/servers.ts";
import { freshPlace, type Place, type Running, start } from "../support/system.ts";

const production = productionMissing === undefined ? describe : describe.skip;

production("two API processes on one set of servers", () => {
  let place: Place;
  let parley: Running[];

  before(async () => {
    place = await freshPlace("production");
    parley = [await start(place), await start(place, ["api"])];
  });
  after(async () => {
    for (const one of parley ?? []) await one.stop();
    await place?.drop();
  });

  it("number a chat that both begin at once without a gap, a void or a repeat", async () => {
    const { application } = await parley[0]!.clients.createApplication({
      application: { name: "raced" },
    });
    const applicationToken = application!.token;
    for (let chatNumber = 1; chatNumber <= 10; chatNumber++) {
      await parley[0]!.clients.createChat({ applicationToken });
      const key = { applicationToken, chatNumber };
      const given = await Promise.all(
        Array.from({ length: 100 }, async (_, at) => {
          const { clients } = parley[at % 2]!;
          const request = { ...key, message: { body: `${at}` }, waitFor: State.STATE_PERSISTED };
          return (await clients.createMessage(request)).message!.number;
        }),
      );
      const dense = Array.from({ length: 100 }, (_, at) => at + 1);
      expect(given.sort((one, other) => one - other)).to.deep.equal(dense);
      const { messages, voids } = await parley[1]!.clients.listMessages({ ...key, pageSize: 200 });
      expect(messages.map((one) => one.number)).to.deep.equal(dense);
      expect(voids).to.deep.equal([]);
    }
  });
});
