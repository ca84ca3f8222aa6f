import { expect } from "chai";
import { Redis } from "ioredis";
import { audit, CLEAN } from "../support/audit.ts";
import { type Deployment, deploy, type Member } from "../support/deployment.ts";
import { until } from "../support/door.ts";
import { Load } from "../support/load.ts";
import { randomFrom, seed } from "../support/random.ts";
import { productionMissing } from "../support/servers.ts";

const EVERY_SECOND = "* * * * * *";
const CHORES = ["sync-counts", "repair-index", "reseed-counters", "purge"];
/** So many ticks of each chore must have come, so that the schedulers met often enough. */
const TICKS_MIN = 4;

const production = productionMissing === undefined ? describe : describe.skip;

production("three workers, two APIs and two schedulers on one set of servers", function () {
  this.timeout(60_000);
  let parley: Deployment;
  let load: Load;
  let redis: Redis;

  before(async () => {
    parley = await deploy(
      { apis: 2, workers: 3, schedulers: 2 },
      {
        PARLEY_METRICS_ADDRESS: "127.0.0.1:0",
        PARLEY_SYNC_CRON: EVERY_SECOND,
        PARLEY_REPAIR_CRON: EVERY_SECOND,
        PARLEY_PURGE_CRON: EVERY_SECOND,
      },
    );
    redis = new Redis(parley.place.env.PARLEY_REDIS_URL!);
    const targets = parley.apis.map((api) => api.target);
    load = new Load(targets, randomFrom(seed));
    await load.start(16);
  });
  after(async () => {
    load?.close();
    redis?.disconnect();
    await parley?.stop();
  });

  const counts = (members: Member[], metric: string, label: string) =>
    Promise.all(members.map((one) => one.count(metric, label)));

  /** The ticks of a chore that somebody took: each leaves its name in Redis for ten minutes. */
  const ticks = async (chore: string) => (await redis.keys(`parley:lease:${chore}:*`)).length;

  it("store every answer once under its number, 1 to n, and let nothing be void", async () => {
    await load.answered(2_000);
    for (const chore of CHORES) {
      await until(`${chore} was due often`, async () => (await ticks(chore)) >= TICKS_MIN);
    }
    await load.stop();
    expect(load.failures).to.deep.equal([]);
    const { applicationToken, answers, missing } = load;
    const { target } = parley.apis[0]!;
    const found = await audit(parley.place, { target, applicationToken, answers, missing });
    expect(found).to.deep.include({ ...CLEAN, void: 0, answers: answers.length });
    const numbersOf = Map.groupBy(answers, (one) => (one.number === 0 ? 0 : one.chatNumber));
    for (const [chatNumber, given] of numbersOf) {
      const numbers = given.map((one) => (chatNumber === 0 ? one.chatNumber : one.number));
      const dense = numbers.map((_, at) => at + 1);
      expect(numbers.sort((one, other) => one - other)).to.deep.equal(dense);
    }
  });

  it("share the jobs among all workers, each job done once", async () => {
    const inserted = await counts(parley.workers, "parley_jobs_tried_total", '"inserted"');
    expect(Math.min(...inserted)).to.be.above(0);
    const sum = inserted.reduce((one, other) => one + other);
    expect(sum).to.equal(load.answers.length);
  });

  it("run each tick of a chore in one scheduler", async () => {
    for (const chore of CHORES) {
      // A tick that is under way has its name in Redis and is not counted yet.
      await until(`each tick of ${chore} was run once`, async () => {
        const taken = await ticks(chore);
        const ran = await counts(parley.schedulers, "parley_chore_runs_total", `"${chore}"`);
        return taken === ran.reduce((one, other) => one + other);
      });
    }
  });
});
