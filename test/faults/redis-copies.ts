import type { Redis } from "ioredis";

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
