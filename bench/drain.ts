import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { createConnection } from "mysql2/promise";
import { JOBS, WAITING } from "../src/stacks/redis/keys.ts";
import type { Rows } from "./floors/bare-writer.ts";
import { LoadProcess } from "./load/load.ts";
import { BODY } from "./load/order.ts";
import { atLeast, type Bench, medianOf } from "./measurement.ts";
import { FloorProcess, makeChats, ParleyProcess, withStarted } from "./processes.ts";

const CHATS = 20;
const BATCH = 1_000;
const POLL_MS = 10;

/** A queue of so many messages, drained by one worker into rows and index. */
export const drain: Bench = {
  names: ["drain-rate"],
  run: ({ rounds, drained }) =>
    withStarted(async (started) => {
      const place = await started.place("production");
      const { PARLEY_REDIS_URL: redisUrl, PARLEY_MYSQL_URL: mysqlUrl } = place.env;
      const api = started.add(await ParleyProcess.start(place, "api"));
      const load = started.add(new LoadProcess());
      const applicationToken = await makeChats(started.clients(api.target), CHATS);
      const redis = new Redis(redisUrl!);
      started.add({ stop: async () => redis.disconnect() });
      await drainOnce(redis, 0, () => ParleyProcess.start(place, "worker"));
      const applicationId = await idOf(mysqlUrl!, applicationToken);

      const ours = async () => {
        const pace = { inFlight: 4, calls: drained / BATCH };
        const { target } = api;
        await load.run({ target, applicationToken, chats: CHATS, batch: BATCH, pace });
        return drainOnce(redis, drained, () => ParleyProcess.start(place, "worker"));
      };
      const beeQueue = async () => {
        const { hostname: host, port, pathname } = new URL(redisUrl!);
        // A database of its own, beside the one of Parley.
        const db = (Number(pathname.slice(1)) % 1_000) + 1;
        const other = new Redis({ host, port: Number(port), db });
        try {
          await other.flushdb();
          await fill(other, drained, applicationToken);
          return await drainOnce(other, drained, async () => {
            const floor = await FloorProcess.start("bench/floors/bee-queue.ts");
            floor.send({ host, port: Number(port), db });
            return floor;
          });
        } finally {
          await other.flushdb();
          other.disconnect();
        }
      };
      let firstChat = 1;
      const bareWriter = async () => {
        firstChat += CHATS;
        const floor = await FloorProcess.start("bench/floors/bare-writer.ts");
        const rows: Rows = {
          mysqlUrl: mysqlUrl!,
          elasticsearchUrl: place.env.PARLEY_ELASTICSEARCH_URL!,
          index: place.env.PARLEY_ELASTICSEARCH_INDEX!,
          applicationId,
          firstChat,
          chats: CHATS,
          count: drained,
          body: BODY,
        };
        floor.send(rows);
        const { ms } = (await floor.answer()) as { ms: number };
        await floor.stop();
        return (drained * 1_000) / ms;
      };

      const sides = { ours, beeQueue, bareWriter };
      const found = { ours: [] as number[], beeQueue: [] as number[], bareWriter: [] as number[] };
      const names = Object.keys(sides) as (keyof typeof sides)[];
      for (let round = 0; round < rounds; round++) {
        for (let at = 0; at < names.length; at++) {
          const side = names[(at + round) % names.length]!;
          found[side].push(await sides[side]());
        }
      }
      const queue = medianOf(found.beeQueue);
      const writer = medianOf(found.bareWriter);
      return [
        atLeast(0.45, {
          name: "drain-rate",
          value: medianOf(found.ours),
          unit: "messages/s",
          floor: Math.min(queue, writer),
          note: `Bee-Queue ${Math.round(queue)}/s, bare writes ${Math.round(writer)}/s`,
        }),
      ];
    }),
};

/**
 * Starts a worker on the jobs that wait, and stops it when they are gone. Gives jobs per second
 * from the first one that was done on, so that its start does not count.
 */
async function drainOnce(
  redis: Redis,
  jobs: number,
  start: () => Promise<{ stop(): Promise<void> }>,
): Promise<number> {
  const worker = await start();
  try {
    let left = await redis.hlen(JOBS);
    while (left === jobs && jobs > 0) left = await redis.hlen(JOBS);
    const [beganMs, first] = [performance.now(), left];
    while (left > 0) {
      await sleep(POLL_MS);
      left = await redis.hlen(JOBS);
    }
    return (first * 1_000) / (performance.now() - beganMs);
  } finally {
    await worker.stop();
  }
}

/** Jobs as Bee-Queue has them; they say as much as Parley's. */
async function fill(redis: Redis, count: number, applicationToken: string): Promise<void> {
  for (let at = 0; at < count; at += BATCH) {
    const jobs: string[] = [];
    for (let one = at; one < at + BATCH; one++) {
      const data = {
        application: applicationToken,
        chat: 1,
        author: "ada",
        body: BODY,
        number: one,
      };
      const options = { timestamp: Date.now(), stacktraces: [], retries: 0 };
      jobs.push(
        `${applicationToken}:1:${one}`,
        JSON.stringify({ data, options, status: "created" }),
      );
    }
    await redis.hset(JOBS, ...jobs);
    await redis.lpush(WAITING, ...jobs.filter((_, index) => index % 2 === 0));
  }
}

async function idOf(mysqlUrl: string, applicationToken: string): Promise<number> {
  const connection = await createConnection(mysqlUrl);
  const sql = "SELECT id FROM applications WHERE token = ?";
  const [rows] = await connection.query(sql, [applicationToken]);
  await connection.end();
  return (rows as { id: number }[])[0]!.id;
}
