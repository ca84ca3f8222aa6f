import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { Redis } from "ioredis";
import { counterKeyOf } from "../../src/stacks/counters.ts";
import { RedisIntake } from "../../src/stacks/redis/intake.ts";
import { OwnRedis } from "../support/own-redis.ts";
import { type FreshServers, freshServers, productionMissing } from "../support/servers.ts";
import { BOUNDS, newChat, refused, seeded, Trusted } from "./intakes.ts";
import { Wire } from "./wire.ts";

const suite = productionMissing === undefined ? describe : describe.skip;

suite("intake: Redis, when something is wrong", () => {
  let servers: FreshServers;
  let wire: Wire;
  let redis: Redis;
  let opened: RedisIntake[];

  beforeEach(async () => {
    servers = await freshServers();
    wire = await new Wire(servers.redisUrl).open();
    redis = new Redis(servers.redisUrl);
    opened = [];
  });
  afterEach(async () => {
    for (const intake of opened) intake.stop();
    await wire?.close();
    redis?.disconnect();
    await servers?.drop();
  });
  const open = (url = wire.href) => {
    const intake = new RedisIntake({ url, ...BOUNDS });
    opened.push(intake);
    return intake;
  };
  it("refuses a connection that was lost, without sending anything on the next", async () => {
    const { one, chat } = await seeded(open());
    await one.take(chat);
    wire.cut();
    const next = await nextConnection(one);
    expect(await one.accept(chat)).to.deep.equal({ kind: "distrusted" });
    expect(await one.seed(chat)).to.equal(false);
    expect(await one.intake.install({ connection: one.connection, epoch: 2 })).to.equal(false);
    expect(await redis.get(counterKeyOf(chat))).to.equal("1");
    one.connection = next;
    expect(await one.take(chat)).to.equal(2);
  });

  it("never gives a number on a connection that nobody looked at", async () => {
    const { one, chat } = await seeded(open());
    const first = one.connection;
    const accepted: number[] = [];
    const caller = async () => {
      for (;;) {
        const result = await one.accept(chat, { connection: first }).catch(() => undefined);
        if (result?.kind === "accepted") accepted.push(result.number);
        if (result?.kind === "distrusted") return;
      }
    };
    const callers = Array.from({ length: 64 }, caller);
    while (accepted.length < 500) await new Promise(setImmediate);
    wire.cut();
    await Promise.all(callers);
    await nextConnection(one);
    const after = Number(await redis.get(counterKeyOf(chat)));
    for (let at = 0; at < 200; at++) {
      expect((await one.accept(chat, { connection: first })).kind).to.equal("distrusted");
    }
    expect(Number(await redis.get(counterKeyOf(chat)))).to.equal(after);
    expect(new Set(accepted).size).to.equal(accepted.length);
  });

  it("says so within about a second where Redis is silent, and goes on later", async () => {
    const { one, chat } = await seeded(open());
    wire.silence();
    const startMs = performance.now();
    const steps = [one.accept(chat), one.intake.counts([chat]), one.intake.inspect()];
    await Promise.all(steps.map(refused));
    expect(performance.now() - startMs).to.be.lessThan(1_500);
    await nextConnection(one);
    expect(await one.intake.counts([chat])).to.deep.equal([0]);
  });

  it("says so within about a second where Redis is away, and finds it later", async () => {
    await wire.close();
    const intake = open();
    for (let at = 0; at < 5; at++) {
      const startMs = performance.now();
      await refused(intake.inspect());
      await refused(intake.changed(1));
      expect(performance.now() - startMs).to.be.lessThan(1_500);
    }
    await wire.open();
    const one = new Trusted(intake);
    await nextConnection(one);
    await one.begin();
  });

  it("sends its scripts again where Redis forgot them", async () => {
    const { one, chat } = await seeded(open());
    await one.take(chat);
    await redis.script("FLUSH");
    const numbers = await Promise.all([one.take(chat), one.take(chat), one.take(chat)]);
    expect(numbers.sort()).to.deep.equal([2, 3, 4]);
  });

  it("does not number from 1 again where somebody deleted a counter", async () => {
    const { one, chat } = await seeded(open());
    await one.take(chat);
    await redis.del(counterKeyOf(chat));
    const lost = { kind: "unseeded", value: undefined, lost: true, mark: "" };
    expect(await one.accept(chat)).to.deep.equal(lost);
    // Granted to somebody who asked before: numbers above this start were given since.
    await one.seed(chat, 200, 0);
    expect(await one.accept(chat)).to.deep.equal(lost);
    await one.intake.grant({ ...one, counter: chat, start: 100, ceiling: 200, lost: true });
    expect(await one.take(chat)).to.equal(101);
  });

  it("is not trusted where half a step came to life, wherever a file was cut off", async () => {
    // Redis ends the step by EXEC, in 14 bytes; before it stands what the step wrote last.
    for (const bytes of [3, 13, 30, 80, 400]) {
      const own = await OwnRedis.start();
      const restart = async (bytesOff: number) => {
        await own.kill();
        if (bytesOff > 0) own.cutTail(bytesOff);
        await own.start();
        return new Trusted(open(own.url)).begin();
      };
      try {
        const chat = newChat();
        const one = await new Trusted(open(own.url)).begin();
        await one.seed(chat);
        await one.take(chat);
        if (bytes === 30 || bytes === 400) await one.acceptBatch(chat, 5);
        else await one.take(chat, { body: "b".repeat(300) });
        // What was cut is as if it had never been, until the next start.
        const two = await restart(bytes);
        expect(await two.take(chat)).to.equal(2);
        const three = await restart(0);
        expect(await three.intake.inspect()).to.include({ epoch: 0 });
        expect(await three.accept(chat)).to.deep.equal({ kind: "distrusted" });
      } finally {
        await own.stop();
      }
    }
  });

  it("never works in database 0 in place of one that does not exist", async () => {
    const url = new URL(servers.redisUrl);
    url.pathname = "/987654";
    await refused(open(url.href).inspect());
    await refused(open(url.href).counts([newChat()]));
  });

  it("counts as durable with fsync always, but not where it may not ask", async () => {
    const user = `parley-${randomUUID()}`;
    await redis.call("ACL", "SETUSER", user, "on", ">secret", "~*", "+@all", "-config");
    const url = new URL(servers.redisUrl);
    url.username = user;
    url.password = "secret";
    const [aof, fsync] = await Promise.all([
      redis.config("GET", "appendonly"),
      redis.config("GET", "appendfsync"),
    ]);
    const always = String(aof) === "appendonly,yes" && String(fsync) === "appendfsync,always";
    expect((await open().inspect()).durable).to.equal(always);
    expect((await open(url.href).inspect()).durable).to.equal(false);
    await redis.call("ACL", "DELUSER", user);
  });
});

/** Waits until the intake has another connection than the one that is known. */
async function nextConnection(one: Trusted): Promise<number> {
  for (;;) {
    const seen = await one.intake.inspect().catch(() => undefined);
    if (seen !== undefined && seen.connection !== one.connection) return seen.connection;
    await new Promise(setImmediate);
  }
}
