import { type EventEmitter, once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect } from "chai";
import { Redis } from "ioredis";
import { jobIdOf } from "../../src/core/jobs.ts";
import { BeeSession } from "../../src/stacks/redis/bee-session.ts";
import { RedisIntake } from "../../src/stacks/redis/intake.ts";
import { ACTIVE, JOBS, SUSPECTS, WAITING } from "../../src/stacks/redis/keys.ts";
import { BeeQueue } from "../../src/stacks/redis/queue.ts";
import { type FreshServers, freshServers, productionMissing } from "../support/servers.ts";
import { BOUNDS, newChat, Trusted } from "./intakes.ts";
import { Seen, Signal, until } from "./job-queue.ts";
import { numbersFrom } from "./jobs.ts";
import { Wire } from "./wire.ts";

const suite = productionMissing === undefined ? describe : describe.skip;

suite("job queue: Bee-Queue, when something is wrong", () => {
  let servers: FreshServers;
  let wire: Wire;
  let redis: Redis;
  let intake: RedisIntake;
  let queue: BeeQueue;
  let trusted: Trusted;
  let chat: ReturnType<typeof newChat>;
  const idOf = (number: number) => jobIdOf({ ...chat, number });
  const accept = async (count: number) => {
    const numbers: number[] = [];
    for (let at = 0; at < count; at++) numbers.push(await trusted.take(chat));
    return numbers.map(idOf);
  };

  beforeEach(async () => {
    servers = await freshServers();
    wire = await new Wire(servers.redisUrl).open();
    redis = new Redis(servers.redisUrl);
    // The intake goes by another way, so that only the queue is disturbed.
    intake = new RedisIntake({ url: servers.redisUrl, ...BOUNDS });
    queue = new BeeQueue({ url: wire.href, stallMs: 1_000 });
    trusted = await new Trusted(intake).begin();
    chat = newChat();
    await trusted.seed(chat);
  });
  afterEach(async () => {
    await queue?.stop(100);
    intake?.stop();
    await wire?.close();
    redis?.disconnect();
    await servers?.drop();
  });

  it("starts though Redis is not there yet", async () => {
    await wire.close();
    const seen = new Seen();
    queue.process(10, seen.handle);
    const ids = await accept(3);
    await queue.listParked(1).catch(() => {});
    await wire.open();
    await seen.all(ids);
  });

  it("survives a server that hangs up on it, in every state", async () => {
    let connections = 0;
    const server = createServer((socket) => {
      socket.on("error", () => {});
      setTimeout(() => socket.resetAndDestroy(), connections++ % 4);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const url = `redis://127.0.0.1:${port}`;
    for (let at = 0; at < 20; at++) {
      const session = new BeeSession({ url, stallMs: 1_000 });
      const error = await session.start(10, async () => {}).catch((reason: Error) => reason);
      expect(error).to.be.instanceOf(Error);
      await session.close(10);
    }
    server.close();
  });

  it("leaves everybody a turn where its connection ends while it asks for retries", async () => {
    const session = new BeeSession({ url: wire.href, stallMs: 1_000 });
    await session.start(10, async () => {});
    const { queue: inner } = session as unknown as { queue: { _activateDelayed(): void } };
    wire.silence();
    Object.getPrototypeOf(inner)._activateDelayed.call(inner);
    const cut = once(inner as unknown as EventEmitter, "error");
    wire.cut();
    await cut;
    // Would never come where it called itself for ever.
    await new Promise((resolve) => setTimeout(resolve, 50));
    await session.close(100);
  });

  it("can be stopped though Redis never came", async () => {
    await wire.close();
    queue.process(10, async () => {});
    const startMs = performance.now();
    await queue.stop(500);
    expect(performance.now() - startMs).to.be.lessThan(1_000);
  });

  it("goes on where Redis forgot its scripts, and lets jobs in work end", async () => {
    const started = new Signal();
    const go = new Signal();
    let failed = false;
    const seen = new Seen(async ({ id }) => {
      if (id === idOf(1)) {
        started.give();
        await go.given;
      } else if (id === idOf(2) && !failed) {
        failed = true;
        throw new Error("once");
      }
    });
    queue.process(10, seen.handle);
    await accept(1);
    await started.given;
    await redis.script("FLUSH");
    const ids = await accept(20);
    await seen.all(ids);
    // The session that had it in work is over by now, and records its outcome all the same.
    go.give();
    await until(() => intake.find([idOf(1), ...ids]).then(present), 0);
    expect(seen.deliveries.filter(({ id }) => id === idOf(1))).to.have.length(1);
  });

  it("goes on after its connections are lost, time and again", async () => {
    const seen = new Seen();
    queue.process(50, seen.handle);
    for (let round = 0; round < 5; round++) {
      await seen.all(await accept(20));
      wire.cut();
    }
    await seen.all(await accept(20));
  });

  it("hands a job out once, though its session is lost while it is in work", async () => {
    const started = new Signal();
    const go = new Signal();
    let inWork = 0;
    let most = 0;
    const seen = new Seen(async ({ id }) => {
      most = Math.max(most, ++inWork);
      if (id === idOf(1)) {
        started.give();
        await go.given;
      }
      inWork--;
    });
    queue.process(3, seen.handle);
    await accept(1);
    await started.given;
    wire.cut();
    await seen.all(await accept(30));
    // Nobody says any more that its worker lives. So it is to come again, but not beside itself.
    await until(() => redis.zrange(SUSPECTS, "0", "-1"), 1);
    await seen.all(await accept(30));
    go.give();
    await until(() => intake.find([idOf(1)]).then(present), 0);
    await until(() => redis.zrange(SUSPECTS, "0", "-1"), 0);
    expect(seen.deliveries.filter((one) => one.id === idOf(1))).to.have.length(1);
    expect(most).to.be.at.most(3);
  });

  it("sees that a connection is dead though nobody says so", async () => {
    const seen = new Seen();
    queue.process(10, seen.handle);
    await seen.all(await accept(5));
    wire.silence();
    await seen.all(await accept(5));
  });

  it("clears ids without a job", async () => {
    await redis.lpush(ACTIVE, "ghost-1", "ghost-2");
    await redis.lpush(WAITING, "ghost-3");
    const seen = new Seen();
    queue.process(2, seen.handle);
    await seen.all(await accept(5));
    await until(() => redis.lrange(ACTIVE, 0, -1), 0);
    expect(await redis.lrange(WAITING, 0, -1)).to.deep.equal([]);
  });

  it("finds jobs that are in no place, as a cut file of Redis can leave them", async () => {
    const seen = new Seen(async ({ id }) => {
      if (id === idOf(1)) throw new Error("out of order");
    });
    await accept(3);
    await redis.lrem(WAITING, 1, idOf(2));
    queue.process(2, seen.handle);
    await until(() => queue.listParked(10), 1);
    await until(() => intake.find([idOf(2), idOf(3)]).then(present), 0);
    // The one that is parked has its place.
    expect(await queue.listParked(10)).to.have.length(1);
  });

  it("keeps every place though a job comes that is no JSON", async () => {
    const session = new BeeSession({ url: servers.redisUrl, stallMs: 60_000 });
    try {
      const seen = new Seen();
      await session.start(10, ({ id, data }) => seen.handle({ id, data, suspect: false }));
      await seen.all(await accept(30));
      await redis.hset(JOBS, "broken", "{");
      await redis.lpush(WAITING, "broken");
      await until(() => redis.lrange(ACTIVE, 0, -1), 1);
      await seen.all(await accept(30));
      // The last jobs keep theirs until their end is written.
      await until(async () => Array(session.lostPlaces).fill(0), 0);
      expect(session.over).to.equal(false);
    } finally {
      await session.close(100);
    }
  });

  it("numbers its jobs' ends like the intake its jobs", async () => {
    const seen = new Seen();
    queue.process(100, seen.handle);
    const ids = (await Promise.all(numbersFrom(1, 200).map(() => accept(1)))).flat();
    await seen.all(ids);
    await until(() => intake.backlog().then(({ jobs }) => Array(jobs).fill(0)), 0);
  });
});

function present<T>(list: (T | undefined)[]): T[] {
  return list.filter((one) => one !== undefined);
}
