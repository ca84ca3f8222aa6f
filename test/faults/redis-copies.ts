import type { Redis } from "ioredis";
import type { Intake } from "../../src/core/intake.ts";
import type { ChatKey } from "../../src/core/ports.ts";
import { DIRTY, LEDGER } from "../../src/stacks/redis/keys.ts";
import type { Wire } from "../contract/wire.ts";
import { pick } from "../support/random.ts";

/** Everything in a Redis database at one moment. */
export type Copy = { key: string; dump: Buffer; ttlMs: number }[];

export async function takeCopy(redis: Redis): Promise<Copy> {
  const keys = await redis.keys("*");
  const read = redis.pipeline();
  for (const key of keys) read.dumpBuffer(key).pttl(key);
  const found = (await read.exec()) ?? [];
  return keys.flatMap((key, at) => {
    const dump = found[2 * at]![1] as Buffer | null;
    const ttlMs = Math.max(0, found[2 * at + 1]![1] as number);
    return dump === null ? [] : [{ key, dump, ttlMs }];
  });
}

export async function putBack(redis: Redis, copy: Copy): Promise<void> {
  const write = redis.multi().flushdb();
  for (const { key, dump, ttlMs } of copy) write.restore(key, ttlMs, dump);
  await write.exec();
}

/** Cuts every connection, and returns when each intake has seen it. */
export async function cutConnections(wire: Wire, intakes: Intake[]): Promise<void> {
  const connectionOf = async (intake: Intake) =>
    intake.inspect().then(
      (found) => found.connection,
      () => -1,
    );
  const before = await Promise.all(intakes.map(connectionOf));
  wire.cut();
  for (const [at, intake] of intakes.entries()) {
    for (let tries = 0; (await connectionOf(intake)) === before[at]; tries++) {
      if (tries > 10_000) throw new Error("the connection outlives its cut");
    }
  }
}

/** As a Redis that is short of memory and was told to evict: any key but the jobs may go. */
export async function evict(redis: Redis, random: () => number, chats: ChatKey[]): Promise<void> {
  const { applicationToken, chatNumber } = pick(random, chats);
  await redis.del(pick(random, [`APP-${applicationToken}-${chatNumber}`, LEDGER, DIRTY]));
}
