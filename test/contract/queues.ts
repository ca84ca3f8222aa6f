import type { Intake } from "../../src/core/intake.ts";
import type { JobQueue } from "../../src/core/job-queue.ts";
import { RedisIntake } from "../../src/stacks/redis/intake.ts";
import { BeeQueue } from "../../src/stacks/redis/queue.ts";
import { SqliteIntake } from "../../src/stacks/sqlite/intake.ts";
import { IntakeDb } from "../../src/stacks/sqlite/intake-db.ts";
import { SqliteQueue } from "../../src/stacks/sqlite/queue.ts";
import { freshDataDir, freshServers } from "../support/servers.ts";
import { BOUNDS } from "./intakes.ts";

/** Where jobs are, in words that another process understands. */
export interface Place {
  stack: "sqlite" | "redis";
  /** A data folder, or the URL of a database. */
  at: string;
  /** Bee-Queue's time within which workers say that they live, where a test waits for it. */
  stallMs?: number;
}

export interface Opened {
  intake: Intake;
  queue: JobQueue;
  /** Lets go of the place; the queue is stopped before. */
  close(): void;
}

/** Opens intake and queue as one process does. */
export function openQueue({ stack, at, stallMs }: Place): Opened {
  if (stack === "sqlite") {
    const db = new IntakeDb(at);
    const intake = new SqliteIntake({ db, ...BOUNDS });
    return { intake, queue: new SqliteQueue({ db }), close: () => db.close() };
  }
  const intake = new RedisIntake({ url: at, ...BOUNDS });
  const queue = new BeeQueue({ url: at, ...(stallMs !== undefined && { stallMs }) });
  return { intake, queue, close: () => intake.stop() };
}

export interface FreshPlace extends Place {
  drop(): Promise<void>;
}

export async function sqlitePlace(): Promise<FreshPlace> {
  const { dataDir, drop } = freshDataDir();
  return { stack: "sqlite", at: dataDir, drop };
}

export async function redisPlace(): Promise<FreshPlace> {
  const { redisUrl, drop } = await freshServers();
  return { stack: "redis", at: redisUrl, drop };
}
