import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Redis } from "ioredis";
import { createConnection } from "mysql2/promise";
import type { ChatKey } from "../../src/core/ports.ts";
import type { Running } from "./system.ts";

/** The tables whose rows belong to an application and go with it or with its chats. */
const TABLES = ["chats", "messages", "message_changes", "voids", "search_gaps", "deletions"];

/**
 * All that is left of an application, by where it is: rows by table, keys and fields of Redis. What
 * must stay for ever is not told: the application's row and the marks of its counters.
 */
export async function residueOf(parley: Running, token: string): Promise<Record<string, number>> {
  const rows = (await rowsOf(parley, token)) as Record<string, number>;
  const left: Record<string, number> = { ...rows, ...(await keysOf(parley, token)) };
  return Object.fromEntries(Object.entries(left).filter(([, count]) => count > 0));
}

const countRows = (table: string) =>
  `SELECT COUNT(*) AS count FROM ${table} WHERE application_id =
    (SELECT id FROM applications WHERE token = ?)`;

async function rowsOf({ place, config }: Running, token: string) {
  const counts: Record<string, number> = {};
  if (place.stack === "embedded") {
    const db = new DatabaseSync(join(config.PARLEY_DATA_DIR, "store.db"), { readOnly: true });
    for (const table of TABLES) {
      counts[table] = (db.prepare(countRows(table)).get(token) as { count: number }).count;
    }
    db.close();
    return counts;
  }
  const connection = await createConnection(config.PARLEY_MYSQL_URL);
  for (const table of TABLES) {
    const [[row]] = (await connection.query(countRows(table), [token])) as never as [
      [{ count: number }],
    ];
    counts[table] = row.count;
  }
  await connection.end();
  return counts;
}

async function keysOf({ place, config, system }: Running, token: string) {
  const parked = (await system.stack.queue.listParked(1_000)).filter((job) =>
    job.id.startsWith(token),
  ).length;
  if (place.stack === "embedded") return { parked };
  const redis = new Redis(config.PARLEY_REDIS_URL);
  const keys = await redis.keys(`*${token}*`);
  const fields = async (name: string) =>
    (await redis.hkeys(name)).filter((field) => field.includes(token)).length;
  const counts = {
    parked,
    keys: keys.length,
    ceilings: await fields("parley:ledger"),
    dirty: await fields("parley:dirty"),
    jobs: await fields("bq:parley:jobs"),
  };
  redis.disconnect();
  return counts;
}

/** Makes Elasticsearch show now what was indexed; the embedded index always does. */
export async function settleIndex({ place, config }: Running): Promise<void> {
  if (place.stack === "embedded") return;
  const path = `/${config.PARLEY_ELASTICSEARCH_INDEX}/_refresh`;
  await fetch(new URL(path, config.PARLEY_ELASTICSEARCH_URL[0]), { method: "POST" });
}

/** Waits until so many messages of a chat can be found, without the index's own pauses. */
export async function indexed(parley: Running, key: ChatKey, count: number): Promise<void> {
  for (let looks = 0; looks < 1_000; looks++) {
    await settleIndex(parley);
    if ((await parley.system.stack.index.extent(key)).count === count) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`not ${count} messages are indexed`);
}
