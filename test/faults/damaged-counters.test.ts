import { expect } from "chai";
import { Redis } from "ioredis";
import { createConnection } from "mysql2/promise";
import { State } from "../../clients/typescript/src/contract.ts";
import { counterKeyOf } from "../../src/stacks/counters.ts";
import { runCommand } from "../support/command.ts";
import { productionMissing } from "../support/servers.ts";
import { freshPlace, type Place, type Running, refusalOf, start } from "../support/system.ts";

const suite = productionMissing === undefined ? describe : describe.skip;

suite("a counter that somebody wrote over with what is no number", () => {
  let place: Place;
  let parley: Running;
  let redis: Redis;
  let key: { applicationToken: string; chatNumber: number };

  beforeEach(async () => {
    place = await freshPlace("production");
    parley = await start(place);
    redis = new Redis(place.env.PARLEY_REDIS_URL!);
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    const applicationToken = application!.token;
    key = { applicationToken, chatNumber: 1 };
    await parley.clients.createChat({ applicationToken });
    const waitFor = State.STATE_PERSISTED;
    await parley.clients.createMessage({ ...key, message: { body: "one" }, waitFor });
  });
  afterEach(async () => {
    redis?.disconnect();
    await parley?.stop();
    await place?.drop();
  });

  async function granted(): Promise<unknown> {
    const connection = await createConnection(place.env.PARLEY_MYSQL_URL!);
    const [ceilings] = await connection.query("SELECT * FROM ceilings ORDER BY chat_number");
    const [voids] = await connection.query("SELECT * FROM voids");
    await connection.end();
    return { ceilings, voids };
  }

  const damages = {
    "a text": (name: string) => redis.set(name, "text"),
    "a list": (name: string) => redis.multi().del(name).lpush(name, "1").exec(),
  };
  for (const [what, damage] of Object.entries(damages)) {
    it(`costs no numbers, and leaves what is stored to readers, where it is ${what}`, async () => {
      const before = await granted();
      await damage(counterKeyOf(key));
      for (const orderBy of ["number", "number desc"]) {
        const { messages } = await parley.clients.listMessages({ ...key, orderBy });
        expect(messages.map((one) => one.body)).to.deep.equal(["one"]);
      }
      const refusal = await refusalOf(
        parley.clients.createMessage({ ...key, message: { body: "two" } }),
      );
      expect(refusal.reason).to.equal("COUNTERS_UNAVAILABLE");
      await parley.clients.getChat({ applicationToken: key.applicationToken, number: 1 });
      const words = ["explain", key.applicationToken, "1", "1"];
      const explained = await runCommand(place.env, ...words);
      expect(explained.stdout).to.contain("its counter holds what is no number");
      const synced = await runCommand(place.env, "sync-counts");
      expect(synced.code, synced.stderr).to.equal(0);
      expect(await granted()).to.deep.equal(before);

      // It stays among those to be copied, and is right again when the damage is gone.
      await redis.del(counterKeyOf(key));
      const { message } = await parley.clients.createMessage({ ...key, message: { body: "two" } });
      expect(message!.number).to.be.above(1);
    });
  }
});
