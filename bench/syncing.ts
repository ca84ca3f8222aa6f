import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { createConnection } from "mysql2/promise";
import { CreateApplicationRequest } from "../gen/parley/v1/application.ts";
import { toConfig } from "../src/config.ts";
import { createApplication } from "../src/core/applications.ts";
import type { Core } from "../src/core/core.ts";
import { CEILING_BLOCK } from "../src/core/limits.ts";
import { counterKeyOf } from "../src/stacks/counters.ts";
import { LEDGER } from "../src/stacks/redis/keys.ts";
import { openSystem } from "../src/system.ts";
import { syncCounts } from "../src/worker/chores.ts";
import { OwnRedis } from "../test/support/own-redis.ts";
import { randomFrom } from "../test/support/random.ts";
import { testLog } from "../test/support/system.ts";
import { inPieces } from "./filling.ts";
import { alternate, atMost, type Bench, medianOf } from "./measurement.ts";
import { type Started, withStarted } from "./processes.ts";

const CHANGED = 1_000;
/** Chats of one statement. */
const PIECE = 5_000;

/** The chore that copies counters into rows: it may cost what changed, not what is there. */
export const syncing: Bench = {
  names: ["sync-counts"],
  run: ({ rounds, chats }) =>
    withStarted(async (started) => {
      const ours = await placeOf(started, chats);
      const floor = await placeOf(started, chats / 100);
      const sides = await alternate(rounds, { ours, floor });
      return [
        atMost(1.2, {
          name: "sync-counts",
          value: medianOf(sides.ours),
          unit: "ms",
          floor: medianOf(sides.floor),
          note: `${CHANGED} counters of ${chats} chats beside as many of ${chats / 100}`,
        }),
      ];
    }),
};

/** A place with so many chats. Gives what changes some of them and times the chore after it. */
async function placeOf(started: Started, chats: number): Promise<() => Promise<number>> {
  // A Redis of its own: a million counters are nothing that others should have to carry.
  const redis = started.add(await OwnRedis.start());
  const place = await started.place("production", { redisUrl: redis.url });
  const config = toConfig({ ...place.env, PARLEY_REDIS_URL: redis.url });
  const { stack, core } = await openSystem(config, [], testLog);
  started.add({ stop: () => stack.stop() });
  const applicationToken = await fill(core, place.env, chats);
  const random = randomFrom(5);
  return async () => {
    const changed = new Set<number>();
    while (changed.size < CHANGED) changed.add(1 + Math.floor(random() * chats));
    await Promise.all([...changed].map((one) => say(core, applicationToken, one)));
    const beganMs = performance.now();
    const copied = await syncCounts(stack, () => new Date());
    const ms = performance.now() - beganMs;
    if (copied !== CHANGED) throw new Error(`${copied} counts were copied`);
    return ms;
  };
}

async function say(core: Core, applicationToken: string, chatNumber: number): Promise<void> {
  const said = { body: "Is it long since you were there?", author: "ada", createMs: Date.now() };
  const draft = { kind: "message", applicationToken, chatNumber, ...said } as const;
  const call = { signal: new AbortController().signal };
  const given = await core.numbering.accept(
    { ...draft, requestId: undefined, attributes: {}, originalMs: undefined },
    undefined,
    call,
  );
  if (given === undefined) throw new Error(`there is no chat ${chatNumber}`);
}

/** Chats that were all used once: each has a counter, and a ceiling in the ledger and in Redis. */
async function fill(core: Core, env: Record<string, string>, chats: number): Promise<string> {
  const call = { nowMs: Date.now(), deadlineMs: Date.now() + 10_000, trace: undefined };
  const signal = new AbortController().signal;
  const named = CreateApplicationRequest.fromPartial({ application: { name: "bench" } });
  const { application } = await createApplication(core, named, { ...call, signal });
  const applicationToken = application!.token;
  const redis = new Redis(env.PARLEY_REDIS_URL!);
  const mysql = await createConnection(env.PARLEY_MYSQL_URL!);
  try {
    const [found] = await mysql.query(
      "SELECT a.id, l.epoch FROM applications a JOIN ledger l WHERE token = ?",
      [applicationToken],
    );
    const [{ id, epoch }] = found as [{ id: number; epoch: number }];
    const createTime = new Date();
    const { first, last } = CEILING_BLOCK;
    await inPieces(chats, PIECE, async (numbers) => {
      const rows = numbers.map((one) => [id, one, createTime, randomUUID()]);
      const ceilings = numbers.map((one) => [id, one, first, 0, 0, epoch]);
      await mysql.query(
        "INSERT INTO chats (application_id, number, create_time, request_id) VALUES ?",
        [rows],
      );
      await mysql.query(
        `INSERT INTO ceilings
          (application_id, chat_number, ceiling, floor, last_void, epoch) VALUES ?`,
        [ceilings],
      );
      const keys = numbers.map((chatNumber) => counterKeyOf({ applicationToken, chatNumber }));
      await redis
        .pipeline()
        .mset(keys.flatMap((key) => [key, 0]))
        .hset(LEDGER, ...keys.flatMap((key) => [key, first]))
        .exec();
    });
    const own = counterKeyOf({ applicationToken });
    await mysql.query("UPDATE ceilings SET ceiling = ? WHERE chat_number = 0", [chats + last]);
    await mysql.query("ANALYZE TABLE chats, ceilings");
    await redis
      .pipeline()
      .set(own, chats)
      .hset(LEDGER, own, chats + last)
      .exec();
    return applicationToken;
  } finally {
    redis.disconnect();
    await mysql.end();
  }
}
