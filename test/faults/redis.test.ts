import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import { type Audit, audit, CLEAN } from "../support/audit.ts";
import { type Deployment, deploy } from "../support/deployment.ts";
import { Load } from "../support/load.ts";
import { OwnRedis } from "../support/own-redis.ts";
import { randomFrom, seed } from "../support/random.ts";
import { productionMissing } from "../support/servers.ts";
import { whole } from "./whole.ts";

const production = productionMissing === undefined ? describe : describe.skip;
const rounds = whole ? 10 : 2;

production("Redis under load", function () {
  this.timeout(whole ? 300_000 : 90_000);
  const random = randomFrom(seed);
  let redis: OwnRedis;
  let parley: Deployment;
  let load: Load;
  let folder: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "parley-copies-"));
    redis = await OwnRedis.start();
    parley = await deploy({ apis: 2, workers: 1, schedulers: 1 }, {}, { redisUrl: redis.url });
    const targets = parley.apis.map((api) => api.target);
    load = new Load(targets, random);
    await load.start(16);
  });
  afterEach(async () => {
    load?.close();
    await parley?.stop();
    await redis?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function result(): Promise<Audit> {
    await load.stop();
    const { applicationToken, answers, missing } = load;
    const { target } = parley.apis[0]!;
    return audit(parley.place, { target, applicationToken, answers, missing });
  }

  /** Every refusal says UNAVAILABLE, when to come again, and says so soon. */
  function expectClearRefusals(): void {
    expect(load.failures.length).to.be.above(0);
    for (const { code, reason, retryMs, ms } of load.failures) {
      expect(code).to.equal(status.UNAVAILABLE);
      expect(reason).to.equal("COUNTERS_UNAVAILABLE");
      expect(retryMs).to.be.above(0);
      // A second of its own, and what a machine with more to do adds to it.
      expect(ms).to.be.below(3_000);
    }
  }

  it("loses nothing and makes no void where it is killed and started on its files", async () => {
    for (let round = 0; round < rounds; round++) {
      await load.answered(300);
      await redis.kill();
      await load.refused(20);
      await redis.start();
      await load.answered(300);
    }
    expect(await result()).to.deep.include({ ...CLEAN, void: 0 });
    expectClearRefusals();
  });

  it("loses nothing where it forgets scripts, or connections are cut or fall silent", async () => {
    for (let round = 0; round < rounds; round++) {
      await load.answered(200);
      await redis.command("SCRIPT", "FLUSH");
      await load.answered(200);
      parley.wires.redis.cut();
      await load.answered(200);
      parley.wires.redis.silence();
      await load.answered(200);
      await parley.wires.redis.close();
      await load.refused(20);
      await parley.wires.redis.open();
      await load.answered(200);
    }
    expect(await result()).to.deep.include({ ...CLEAN, void: 0 });
    expectClearRefusals();
  });

  /**
   * What a loss may do: take what was not stored yet, as voids; a retry may come twice then, and a
   * chat that a worker was about to store is said not to be until its row comes.
   */
  function expectExplained(found: Audit): void {
    expect({ ...found, doubled: 0, denied: 0 }).to.deep.include(CLEAN);
  }

  it("gives no number again where it is emptied", async () => {
    for (let round = 0; round < rounds; round++) {
      await load.answered(400);
      await redis.command("FLUSHALL");
      await load.answered(400);
    }
    expectExplained(await result());
  });

  it("gives no number again where an older copy of it is put back", async () => {
    await load.answered(300);
    await redis.kill();
    redis.copyTo(folder);
    await redis.start();
    for (let round = 0; round < rounds; round++) {
      await load.answered(500);
      await redis.kill();
      redis.restoreFrom(folder);
      await redis.start();
    }
    await load.answered(300);
    expectExplained(await result());
  });

  it("gives no number again where the end of its file is cut off", async () => {
    for (let round = 0; round < rounds; round++) {
      await load.answered(400);
      await redis.kill();
      redis.cutTail(300);
      await redis.start();
      await load.answered(200);
    }
    expectExplained(await result());
  });

  it("gives no number again where a replica that was behind takes its place", async () => {
    const replica = await OwnRedis.start("--replicaof", "127.0.0.1", new URL(redis.url).port);
    try {
      await load.answered(300);
      await replica.command("REPLICAOF", "NO", "ONE");
      await load.answered(300);
      await redis.kill();
      parley.wires.redis.lead(replica.url);
      parley.place.env.PARLEY_REDIS_URL = replica.url;
      await load.answered(300);
      expectExplained(await result());
    } finally {
      await replica.stop();
    }
  });
});
