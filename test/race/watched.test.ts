import { expect } from "chai";
import { randomFrom, seed } from "../support/random.ts";
import { productionMissing } from "../support/servers.ts";
import { freshPlace, type Place, type Running, start } from "../support/system.ts";

const production = productionMissing === undefined ? describe : describe.skip;

production(`a chat that is watched on two API processes in turn, seed ${seed}`, () => {
  const random = randomFrom(seed);
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

  it("is told whole, in order and once, to who moves while both are written to", async () => {
    const { clients } = parley[0]!;
    const { application } = await clients.createApplication({ application: { name: "watched" } });
    const key = { applicationToken: application!.token, chatNumber: 1 };
    await clients.createChat(key);
    const total = 400;
    const said = Promise.all(
      Array.from({ length: total }, (_, at) =>
        parley[at % 2]!.clients.createMessage({ ...key, message: { body: `${at}` } }),
      ),
    );
    const staying = parley[1]!.clients.watchMessages(key);
    const seen: number[] = [];
    let at = { afterNumber: 0, afterChange: 0 };
    for (let turn = 0; at.afterNumber < total; turn++) {
      const one = parley[turn % 2]!.clients.watchMessages({ ...key, ...at });
      const next = at.afterNumber + 1 + Math.floor(random() * 80);
      await one.heard(`message ${Math.min(total, next)}`);
      await one.cancel();
      seen.push(...one.messages.map(({ number }) => number));
      at = one.at();
    }
    await said;
    await staying.heard(`message ${total}`);
    await staying.cancel();
    const dense = Array.from({ length: total }, (_, number) => number + 1);
    expect(seen).to.deep.equal(dense);
    expect(staying.messages.map(({ number }) => number)).to.deep.equal(dense);
    const others = staying.words.filter((word) => !word.startsWith("message "));
    expect(others).to.deep.equal(["caughtUp"]);
  }).timeout(30_000);
});
