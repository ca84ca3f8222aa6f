import { expect } from "chai";
import { Redis } from "ioredis";
import { type NumberRange, State } from "../../clients/typescript/src/contract.ts";
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

  it("give batches of both ranges that do not meet, also after Redis was emptied", async () => {
    const { application } = await parley[0]!.clients.createApplication({
      application: { name: "raced by batches" },
    });
    const applicationToken = application!.token;
    await parley[0]!.clients.createChat({ applicationToken, waitFor: State.STATE_PERSISTED });
    const key = { applicationToken, chatNumber: 1 };
    const ranges: NumberRange[] = [];
    const run = () =>
      Promise.all(
        Array.from({ length: 20 }, async (_, at) => {
          const messages = Array.from({ length: 1 + ((at * 37) % 150) }, () => ({ body: `${at}` }));
          const request = { ...key, messages, waitFor: State.STATE_PERSISTED };
          const { numbers } = await parley[at % 2]!.clients.batchCreateMessages(request);
          expect(numbers!.lastNumber - numbers!.firstNumber).to.equal(messages.length - 1);
          ranges.push(numbers!);
        }),
      );
    await run();
    const redis = new Redis(place.env.PARLEY_REDIS_URL!);
    await redis.flushdb();
    redis.disconnect();
    await run();
    ranges.sort((one, other) => one.firstNumber - other.firstNumber);
    // A gap is where the counter was seeded above all that may have been given, and nowhere else.
    const gaps = ranges.filter(
      (one, at) => one.firstNumber - 1 !== (ranges[at - 1]?.lastNumber ?? 0),
    );
    expect(gaps).to.have.length.at.most(1);
    for (const [at, one] of ranges.entries()) {
      expect(one.firstNumber).to.be.above(ranges[at - 1]?.lastNumber ?? 0);
    }
  });
});
