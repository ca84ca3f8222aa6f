import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { JOBS, REQUESTS_PREFIX } from "../src/stacks/redis/keys.ts";
import { OwnRedis } from "../test/support/own-redis.ts";
import { LoadProcess } from "./load/load.ts";
import { atMost, type Bench } from "./measurement.ts";
import { makeChats, ParleyProcess, residentBytesOf, withStarted } from "./processes.ts";

const CHATS = 20;
const BATCH = 100;
/** The part of the messages that comes alone, in calls of their own. */
const ALONE = 0.1;
/** All comes in so many portions, each drained before the next, so that every one is like it. */
const PORTIONS = 100;
/** The shortest time that there is, so that what Redis keeps for it is gone soon. */
const REQUEST_ID_TTL_S = 1;
const POLL_MS = 20;
const MIB = 2 ** 20;

interface Reading {
  api: number;
  worker: number;
  redis: number;
}

/** What stays of messages that were taken and applied: nothing but the counters. */
export const memory: Bench = {
  names: ["memory-api", "memory-worker", "memory-redis"],
  run: ({ remembered, roundMs }) =>
    withStarted(async (started) => {
      const own = started.add(await OwnRedis.start());
      const place = await started.place("production", { redisUrl: own.url });
      const redis = new Redis(own.url);
      started.add({ stop: async () => redis.disconnect() });
      const settings = { PARLEY_REQUEST_ID_TTL: `${REQUEST_ID_TTL_S}` };
      const worker = started.add(await ParleyProcess.start(place, "worker", settings));
      const api = started.add(await ParleyProcess.start(place, "api", settings));
      const load = started.add(new LoadProcess());
      const applicationToken = await makeChats(started.clients(api.target), CHATS);

      const portion = Math.round(remembered / PORTIONS);
      const alone = Math.round(portion * ALONE);
      const order = { target: api.target, applicationToken, chats: CHATS };
      const take = async (portions: number) => {
        for (let at = 0; at < portions; at++) {
          const calls = Math.round((portion - alone) / BATCH);
          await load.run({ ...order, batch: BATCH, pace: { inFlight: 4, calls } });
          await load.run({ ...order, pace: { inFlight: 32, calls: alone } });
          while ((await redis.hlen(JOBS)) > 0) await sleep(POLL_MS);
        }
      };
      const read = async (): Promise<Reading> => {
        // What is garbage goes in the quiet; the time of the request ids is over by then.
        const endMs = performance.now() + roundMs * 4;
        const found = { api: Number.POSITIVE_INFINITY, worker: Number.POSITIVE_INFINITY };
        while (performance.now() < endMs || (await redis.keys(`${REQUESTS_PREFIX}*`)).length > 0) {
          found.api = Math.min(found.api, residentBytesOf(api.pid));
          found.worker = Math.min(found.worker, residentBytesOf(worker.pid));
          await sleep(POLL_MS * 10);
        }
        const used = /^used_memory:(\d+)/m.exec(await redis.info("memory"))![1];
        return { ...found, redis: Number(used) };
      };
      await take(1);
      const first = await read();
      await take(PORTIONS - 1);
      const last = await read();
      const of = (name: keyof Reading) =>
        atMost(1.2, {
          name: `memory-${name}`,
          value: last[name] / MIB,
          unit: "MiB",
          floor: first[name] / MIB,
          note: `after ${remembered} messages beside ${portion}, at rest`,
        });
      return [of("api"), of("worker"), of("redis")];
    }),
};
