import { readFileSync } from "node:fs";
import { expect } from "chai";
import { Redis } from "ioredis";
import { type ScriptedRedis, scripts } from "../../src/stacks/redis/scripts.ts";
import { type FreshServers, freshServers, productionMissing } from "../support/servers.ts";

// As intake.test.ts: two versions use one Redis while they are replaced.

const suite = productionMissing === undefined ? describe : describe.skip;

suite("golden: suspects in Redis", () => {
  let servers: FreshServers;
  let redis: ScriptedRedis;

  beforeEach(async () => {
    servers = await freshServers();
    redis = new Redis(servers.redisUrl, { scripts }) as ScriptedRedis;
  });
  afterEach(async () => {
    redis?.disconnect();
    await servers?.drop();
  });

  it("is answered about suspects as it always was", async () => {
    const active = ["block", "stalls", "stalling", "active", "jobs", "suspects"];
    const trial = (worker: string, word: string) =>
      redis.trial("trial", "tried", "suspects", "jobs", worker, 10_000, word, 50, 6);
    const settle = (...outcome: (string | number)[]) =>
      redis.settle("suspects", "tried", "jobs", "failed", "delayed", ...outcome);
    await redis.hset("jobs", "c:1", "{}", "c:2", "{}", "c:3", "{}");
    await redis.lpush("active", "c:1", "ghost", "c:2", "c:3");
    const replies: Record<string, unknown> = {
      "stalled, asked": await redis.stalled(...active, 10_000),
      "active, none left out": await redis.lrange("active", "0", "-1"),
    };
    await redis.del("stalls");
    await redis.srem("stalling", "c:3");
    replies["stalled, two said nothing"] = await redis.stalled(...active, 10_000);
    replies["active, one lives"] = await redis.lrange("active", "0", "-1");
    replies["trial, held"] = await trial("one", "hold");
    replies["trial, of another"] = await trial("two", "take");
    replies["trial, a group"] = await trial("one", "take");
    await redis.del("trial");
    replies["trial, one by one"] = await trial("two", "take");
    replies["trial, left"] = await trial("two", "leave");
    replies["trial, nothing charged"] = await redis.zscore("suspects", "c:1");
    replies["settle, done"] = await settle("c:1", "done");
    replies["settle, done before"] = await settle("c:1", "done");
    replies["settle, excused"] = await settle("c:2", "excused");
    for (let stalls = 0; stalls < 4; stalls++) await trial("two", "take");
    replies["trial, to be parked"] = await trial("two", "take");
    replies["settle, parked"] = await settle("c:2", "failed", '{"parked":1}', "");
    replies["trial, none left"] = await trial("two", "take");
    replies.drop = await redis.drop("failed", "jobs", "c:2");
    replies["drop, not parked"] = await redis.drop("failed", "jobs", "c:2");
    replies["jobs, left"] = await redis.hkeys("jobs");
    const file = new URL("suspect-replies.json", import.meta.url);
    expect(replies).to.deep.equal(JSON.parse(readFileSync(file, "utf8")));
  });
});
