import { readFileSync } from "node:fs";
import { expect } from "chai";
import { Redis } from "ioredis";
import {
  completeDraft,
  decodeJob,
  encodeBatch,
  encodeDraft,
  jobIdOf,
} from "../../src/core/jobs.ts";
import { RedisIntake } from "../../src/stacks/redis/intake.ts";
import { JOBS } from "../../src/stacks/redis/keys.ts";
import { type ScriptedRedis, scripts } from "../../src/stacks/redis/scripts.ts";
import { BOUNDS, Trusted } from "../contract/intakes.ts";
import { type FreshServers, freshServers, productionMissing } from "../support/servers.ts";

// Jobs outlive the version that wrote them, and two versions use one Redis while they are replaced:
// what these files say may be added to, never changed.

const golden = (name: string) =>
  JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8")) as Record<string, unknown>;

const TOKEN = "0f8fad5b-d9cb-469f-a165-70867728950e";
const REQUEST = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const BASE = { applicationToken: TOKEN, createMs: 1_764_000_000_123 };
const MESSAGE = {
  kind: "message",
  ...BASE,
  requestId: REQUEST,
  chatNumber: 7,
  author: "Zoë",
  body: 'He said "no"\nمرحبا \u{1F468} \u2028',
} as const;
const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CHAT = { kind: "chat", ...BASE, requestId: undefined } as const;
const SAID = { attributes: { ref: "7", 'a"b': "Zoë" }, originalMs: 1_234_567_890_123 } as const;
const COUNTER = { applicationToken: TOKEN, chatNumber: 7 };

const APPLICATION_KEY = `APP-${TOKEN}`;
const CHAT_KEY = `${APPLICATION_KEY}-7`;
const FIELD = "00112233445566778899aabbccddeeff";

/** Counter, request id and digest, both halves of the job, and what accept.lua calls more. */
type Call = [key: string, request: [string, string], head: string, tail: string, ...more: string[]];

describe("golden: the job", () => {
  const jobs = golden("jobs.json");

  it("is written as it always was", () => {
    const given = { number: 12, epoch: 3, accept: 9_007_199_254_740_991 };
    expect(completeDraft(encodeDraft(MESSAGE), given)).to.equal(jobs.message);
    expect(completeDraft(encodeDraft(CHAT), given)).to.equal(jobs.chat);
    const named = { ...CHAT, externalId: "shop/7", attributes: SAID.attributes };
    expect(completeDraft(encodeDraft(named), given)).to.equal(jobs["chat, named"]);
    const said = { ...MESSAGE, ...SAID };
    expect(completeDraft(encodeDraft(said), given)).to.equal(jobs["message, with more"]);
    expect(completeDraft(encodeDraft({ ...CHAT, trace: TRACE }), given)).to.equal(jobs.traced);
  });

  it("is read with its trace, or without one", () => {
    expect(decodeJob(jobs.traced)).to.include({ trace: TRACE });
    expect(decodeJob(jobs.chat)).not.to.have.property("trace");
  });

  it("is read as it was written, with and without what came later", () => {
    const { kind: _, ...base } = { ...MESSAGE, number: 12, epoch: 3, accept: 2 ** 53 - 1 };
    const { attributes } = SAID;
    const { requestId: _requestId, chatNumber, author, body, ...whole } = base;
    const message = { kind: "message", ...base };
    const chat = { kind: "chat", ...whole, requestId: undefined };
    expect(decodeJob(jobs.message)).to.deep.equal(message);
    expect(decodeJob(jobs.chat)).to.deep.equal(chat);
    expect(decodeJob(jobs["message, with more"])).to.deep.equal({ ...message, ...SAID });
    const named = { ...chat, externalId: "shop/7", attributes };
    expect(decodeJob(jobs["chat, named"])).to.deep.equal(named);
  });

  it("of a batch is written as any other", () => {
    const messages = [MESSAGE, { ...MESSAGE, ...SAID }, { ...MESSAGE, attributes: {} }];
    const { head, contents, tail } = encodeBatch({ ...MESSAGE, messages });
    const given = { number: 12, epoch: 3, accept: 2 ** 53 - 1 };
    expect(
      contents.map((content) => completeDraft({ head: head + content, tail }, given)),
    ).to.deep.equal([jobs.message, jobs["message, with more"], jobs.message]);
  });
});

const suite = productionMissing === undefined ? describe : describe.skip;

suite("golden: Redis", () => {
  let servers: FreshServers;
  let redis: ScriptedRedis;
  let intake: RedisIntake;

  beforeEach(async () => {
    servers = await freshServers();
    redis = new Redis(servers.redisUrl, { scripts }) as ScriptedRedis;
    intake = new RedisIntake({ url: servers.redisUrl, ...BOUNDS });
  });
  afterEach(async () => {
    intake?.stop();
    redis?.disconnect();
    await servers?.drop();
  });

  /** One step of accept.lua, over names that are short. */
  const take = (epoch: number, seen: number, backlogMax: number, ...calls: Call[]) => {
    const keys = ["ledger", "dirty", "jobs", "waiting"];
    const shared = [epoch, seen, backlogMax, 16, "requests:", 3_600_000, "external:"];
    const words = calls.flatMap(([key, [field, digest], head, tail, more = "", ...contents]) => [
      ...[key, field, digest, "35mtxw8u", head, tail, more],
      ...contents,
    ]);
    const text = words.map((word) => `${word}\n`).join("");
    return redis.accept(...keys, ...shared, calls.length, text) as Promise<unknown[]>;
  };

  it("keeps jobs, counters and the rest as it always did", async () => {
    const one = await new Trusted(intake, 3).begin();
    await one.seed({ applicationToken: TOKEN }, 64);
    await one.seed(COUNTER, 128, 11);
    const { createMs } = BASE;
    const request = { id: REQUEST, digest: "00112233445566aa" };
    await one.accept(COUNTER, { ...encodeDraft(MESSAGE), createMs, request });
    await one.accept({ applicationToken: TOKEN }, { ...encodeDraft(CHAT), createMs });
    expect(await contentsOf(redis)).to.deep.equal(golden("redis-contents.json"));
    const [found] = await intake.find([jobIdOf({ ...COUNTER, number: 12 })]);
    expect(found?.job).to.deep.equal({ ...MESSAGE, number: 12, epoch: 3, accept: 1 });
    expect(await redis.hlen(JOBS)).to.equal(2);
  });

  it("is answered by the scripts as it always was", async () => {
    const ask = async (
      request: [string, string] = ["", ""],
      seen = 0,
      backlogMax = 100,
      key = CHAT_KEY,
    ) => (await take(1, seen, backlogMax, [key, request, '{"data":{"number":', "}}"]))[0];
    const grant = (ceiling: number, start: number | "", epoch = 1, mark = "", lost = 0) =>
      redis.grant(CHAT_KEY, "ledger", "dirty", epoch, ceiling, start, mark, lost);
    const parked = ["failed", "jobs", "waiting"];
    const replies: Record<string, unknown> = {
      "accept, nothing installed": await ask(),
      install: await redis.install("ledger", 1),
      "install again": await redis.install("ledger", 1),
      "accept, no key": await ask(),
      "grant, other epoch": await grant(2, 0, 2),
      "grant, raise without a ceiling": await grant(2, ""),
      "grant, seed": await grant(2, 0),
      accept: await ask([FIELD, "digest"]),
      "accept, replayed": await ask([FIELD, "digest"]),
      "accept, reused": await ask([FIELD, "other"]),
      "accept, seen more": await ask(["", ""], 2),
      "accept, full": await ask(["", ""], 1, 1),
      "accept, again": await ask(),
      "accept, exhausted": await ask(),
      "grant, raise": await grant(9_007_199_254_740_991, ""),
      "forget, changed since": await redis.forget("dirty", CHAT_KEY, "1:1"),
      forget: await redis.forget("dirty", CHAT_KEY, "1:2"),
      "requeue, not parked": await redis.requeue(...parked, "c:1", "{}"),
      ghosts: await redis.ghosts("active", "jobs", "waiting", 10),
    };
    await redis.sadd("failed", "c:1");
    await redis.lpush("active", "c:9", "c:1");
    await redis.set(CHAT_KEY, "9007199254740989");
    Object.assign(replies, {
      requeue: await redis.requeue(...parked, "c:1", "{}"),
      "ghosts, one": await redis.ghosts("active", "jobs", "waiting", 10),
      "accept, near the end": await ask(),
    });
    await redis.del(CHAT_KEY);
    Object.assign(replies, {
      "accept, key lost": await ask(),
      "grant, seed where the key is lost": [await grant(9, 0), await redis.get(CHAT_KEY)],
      "grant, above the lost key": [await grant(9, 5, 1, "", 1), await redis.get(CHAT_KEY)],
    });
    const remove = (value: string) => redis.remove(CHAT_KEY, "ledger", "dirty", "removed:1", value);
    Object.assign(replies, {
      "remove, another value": await remove("1"),
      remove: await remove("*"),
      "accept, removed": await ask(),
      "grant, before it was removed": await grant(9, 5),
      "grant, raise what was removed": await grant(9, ""),
      "accept, removed still": await ask(),
      "grant, by the mark": await grant(9, 5, 1, "removed:1"),
      "accept, by the mark": await ask(),
      "drop, not parked": await redis.drop("failed", "jobs", "c:1"),
      "install, the next": await redis.install("ledger", 2),
      "grant, in the last epoch": await grant(99, 50),
    });
    const next = await take(2, 0, 100, [CHAT_KEY, ["", ""], "{", "}"]);
    replies["accept, key without a ceiling"] = next[0];
    expect(replies).to.deep.equal(golden("redis-replies.json"));
  });

  it("is answered by one step about many calls as by a step for each", async () => {
    await redis.install("ledger", 1);
    await redis.grant(CHAT_KEY, "ledger", "dirty", 1, 4, 0, "", 0);
    await redis.grant(APPLICATION_KEY, "ledger", "dirty", 1, 9, 2, "", 0);
    const job = ["{", "}"] as const;
    const said: [string, string] = [FIELD, "digest"];
    const replies = await take(
      1,
      0,
      7,
      [CHAT_KEY, said, ...job],
      [CHAT_KEY, said, ...job],
      [CHAT_KEY, [FIELD, "other"], ...job],
      [APPLICATION_KEY, ["", ""], ...job, 'n"name"'],
      [APPLICATION_KEY, ["", ""], ...job, 'n"name"'],
      [CHAT_KEY, ["", ""], ...job, "2", "1", "2"],
      [`${CHAT_KEY}1`, ["", ""], ...job],
      [CHAT_KEY, ["", ""], ...job, "2", "1", "2"],
      [CHAT_KEY, ["", ""], ...job],
      [CHAT_KEY, ["", ""], ...job],
      [APPLICATION_KEY, ["", ""], ...job, "2", "1", "2"],
      [APPLICATION_KEY, ["", ""], ...job, "3", "1", "2", "3"],
    );
    expect(replies).to.deep.equal(golden("step-replies.json"));
    expect(await redis.hmget("ledger", "accepts", "whole")).to.deep.equal(["7", "7"]);
    expect(await redis.mget(CHAT_KEY, APPLICATION_KEY)).to.deep.equal(["4", "5"]);
    expect(await redis.hlen("jobs")).to.equal(7);
  });

  it("is answered about batches and external ids as it always was", async () => {
    const contents = ['"body":"one","number":', '"body":"two","number":'];
    const batch = async (seen = 0, backlogMax = 100, request: [string, string] = ["", ""]) =>
      (await take(1, seen, backlogMax, [CHAT_KEY, request, "{", "}", "2", ...contents]))[0];
    const named = async (letter: "n" | "l", backlogMax = 100) => {
      const call: Call = [APPLICATION_KEY, ["", ""], '{"number":', "}", `${letter}"name"`];
      return (await take(1, 0, backlogMax, call))[0];
    };
    await redis.install("ledger", 1);
    const replies: Record<string, unknown> = { "batch, no key": await batch() };
    await redis.grant(CHAT_KEY, "ledger", "dirty", 1, 5, 0, "", 0);
    await redis.grant(APPLICATION_KEY, "ledger", "dirty", 1, 5, 2, "", 0);
    Object.assign(replies, {
      batch: await batch(0, 100, [FIELD, "digest"]),
      "batch, replayed": await batch(0, 100, [FIELD, "digest"]),
      "batch, reused": await batch(0, 100, [FIELD, "other"]),
      "batch, seen more": await batch(3),
      "batch, full": await batch(0, 3),
      "named, looked up": await named("l"),
      named: await named("n"),
      "named, again": await named("n"),
      "named, while full": await named("l", 1),
      "batch, again": await batch(),
      "batch, exhausted": await batch(),
      "free, another": await redis.forget(`external:${TOKEN}`, "name", 9),
      free: await redis.forget(`external:${TOKEN}`, "name", 3),
      jobs: await redis.hgetall("jobs"),
      waiting: await redis.lrange("waiting", 0, -1),
      dirty: await redis.hgetall("dirty"),
    });
    expect(replies).to.deep.equal(golden("batch-replies.json"));
  });
});

/** Everything in the database, but for the slice of time in a name. */
async function contentsOf(redis: Redis): Promise<Record<string, unknown>> {
  const contents: Record<string, unknown> = {};
  for (const key of (await redis.keys("*")).sort()) {
    const name = key.replace(/(requests:)\d+$/, "$1<slice>");
    switch (await redis.type(key)) {
      case "string":
        contents[name] = await redis.get(key);
        break;
      case "list":
        contents[name] = await redis.lrange(key, 0, -1);
        break;
      case "hash": {
        const pairs = await redis.hgetallBuffer(key);
        const hex = name.endsWith("<slice>");
        contents[name] = Object.fromEntries(
          Object.entries(pairs).map(([field, value]) => [
            hex ? "<16 bytes>" : field,
            value.toString(),
          ]),
        );
        break;
      }
    }
  }
  return contents;
}
