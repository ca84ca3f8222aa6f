import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { Redis } from "ioredis";
import { jobIdOf } from "../../src/core/jobs.ts";
import { counterKeyOf } from "../../src/stacks/counters.ts";
import { RedisIntake } from "../../src/stacks/redis/intake.ts";
import { EXTERNAL_PREFIX, JOBS, REQUESTS_PREFIX } from "../../src/stacks/redis/keys.ts";
import { type FreshServers, freshServers, productionMissing } from "../support/servers.ts";
import { BOUNDS, newChat, newRequest, refused, seeded, Trusted } from "./intakes.ts";

const suite = productionMissing === undefined ? describe : describe.skip;

suite("intake: Redis, when its keys hold what is not ours", () => {
  let servers: FreshServers;
  let redis: Redis;
  let intake: RedisIntake;

  beforeEach(async () => {
    servers = await freshServers();
    redis = new Redis(servers.redisUrl);
    intake = new RedisIntake({ url: servers.redisUrl, ...BOUNDS });
  });
  afterEach(async () => {
    intake?.stop();
    redis?.disconnect();
    await servers?.drop();
  });
  it("gives no number, and writes nothing, where a counter holds what is no number", async () => {
    const { one, chat } = await seeded(intake);
    for (const set of [
      () => redis.set(counterKeyOf(chat), "text"),
      () => redis.set(counterKeyOf(chat), "1.5"),
      () => redis.multi().del(counterKeyOf(chat)).lpush(counterKeyOf(chat), "1").exec(),
    ]) {
      await set();
      await refused(one.accept(chat));
      await one.intake.grant({ ...one, counter: chat, start: 100, ceiling: 200, lost: true });
      await refused(one.accept(chat));
      expect(await one.intake.counts([chat])).to.deep.equal([Number.NaN]);
      expect((await one.intake.inspect()).accepts).to.equal(0);
    }
    await redis.del(counterKeyOf(chat));
    expect(await one.intake.counts([chat])).to.deep.equal([undefined]);
    expect(await one.accept(chat)).to.include({ kind: "unseeded", lost: true });
  });

  it("lets no other call of a step pay for external ids in what is no hash", async () => {
    const { one, chat } = await seeded(intake);
    const { applicationToken } = newChat();
    await one.seed({ applicationToken });
    await redis.set(`${EXTERNAL_PREFIX}${applicationToken}`, "text");
    const named = refused(one.accept({ applicationToken }, { externalId: "x" }));
    expect(await one.take(chat)).to.equal(1);
    await named;
    expect((await one.intake.inspect()).accepts).to.equal(1);
  });

  it("takes no word of what is kept of an id for a running number", async () => {
    const { one, chat } = await seeded(intake);
    const { applicationToken } = newChat();
    await one.seed({ applicationToken });
    const request = newRequest();
    await one.take(chat, { request });
    const [requests] = await redis.keys(`${REQUESTS_PREFIX}*`);
    const [field] = await redis.hkeysBuffer(requests!);
    for (const kept of ["1 9007199254740991", "1 nan", "nan", "1\n", "", " 1"]) {
      await redis.hset(`${EXTERNAL_PREFIX}${applicationToken}`, "x", kept);
      await redis.hset(requests!, field!, `${request.digest} ${kept} 1 1`);
      const calls = [
        refused(one.accept({ applicationToken }, { externalId: "x" })),
        refused(one.accept(chat, { request })),
        one.take(chat),
      ];
      await Promise.all(calls);
    }
    expect((await one.intake.inspect()).accepts).to.equal(7);
  });

  it("takes an external id that is no text for the nearest that is", async () => {
    const { one, chat } = await seeded(intake);
    const { applicationToken } = newChat();
    await one.seed({ applicationToken });
    const named = one.accept({ applicationToken }, { externalId: "x\ud800" });
    expect(await one.take(chat)).to.equal(1);
    expect(await named).to.include({ kind: "accepted" });
    expect(await one.accept({ applicationToken }, { externalId: "x\ufffd" })).to.include({
      kind: "existing",
    });
  });

  it("writes nothing where a job has the number already", async () => {
    const { one, chat } = await seeded(intake);
    await one.take(chat);
    await redis.set(counterKeyOf(chat), "0");
    const before = await one.intake.find([jobIdOf({ ...chat, number: 1 })]);
    await refused(one.accept(chat));
    expect(await one.intake.find([jobIdOf({ ...chat, number: 1 })])).to.deep.equal(before);
    expect((await one.intake.inspect()).accepts).to.equal(1);
  });

  it("answers the others of a step as if who would have such a number had not called", async () => {
    const { one } = await seeded(intake);
    const [chat, other] = [newChat(), newChat()];
    await one.seed(chat, 10);
    await one.seed(other);
    await one.acceptBatch(chat, 6);
    await redis.set(counterKeyOf(chat), "0");
    const gone = [1, 2, 4, 5].map((number) => jobIdOf({ ...chat, number }));
    await redis.hdel(JOBS, ...gone);
    const request = newRequest();
    const calls = [
      refused(one.acceptBatch(chat, 5)),
      one.take(chat, { request }),
      // Beyond the ceiling for as long as the batch before it has its numbers.
      refused(one.acceptBatch(chat, 9)),
      one.take(chat, { request }).catch((error: Error) => error.message),
      one.take(other),
      one.take(chat),
      refused(one.accept(chat)),
    ];
    expect(await Promise.all(calls)).to.deep.equal([
      ...[undefined, 1, undefined, "replayed, not accepted", 1, 2, undefined],
    ]);
    expect((await one.intake.inspect()).accepts).to.equal(9);
    expect(await redis.get(counterKeyOf(chat))).to.equal("2");
  });

  it("ends where numbers are beyond what can be counted, and one of them is taken", async () => {
    const { one, chat } = await seeded(intake);
    const far = newChat();
    await one.seed(far, 2 ** 53 + 4, 2 ** 53);
    await one.take(chat);
    await redis.set(counterKeyOf(chat), "0");
    const calls = [refused(one.accept(chat)), one.acceptBatch(far, 2).catch(() => undefined)];
    await Promise.all(calls);
    expect(await redis.ping()).to.equal("PONG");
  });

  it("leaves a key alone that a new chat's counter would have", async () => {
    const one = await new Trusted(intake).begin();
    const application = { applicationToken: randomUUID() };
    await one.seed(application);
    await redis.set(`${counterKeyOf(application)}-1`, "7");
    expect(await one.take(application)).to.equal(1);
    expect(await one.intake.counts([{ ...application, chatNumber: 1 }])).to.deep.equal([7]);
  });
});
