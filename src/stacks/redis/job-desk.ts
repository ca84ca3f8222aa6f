import type { JobCounts, JobReport } from "../../core/job-queue.ts";
import { JOB_TRIES_MAX } from "../../core/limits.ts";
import type { RedisConnection } from "./connection.ts";
import { type BeeJob, parseJob, renewJob } from "./job.ts";
import { ACTIVE, DELAYED, FAILED, JOBS, STALL_BLOCK, SUSPECTS, WAITING } from "./keys.ts";
import { stallsOf } from "./trials.ts";

/** How many parked jobs are read at once. */
const PARKED_PAGE = 500;
/** Active ids that are looked through for one; far more than workers have in work. */
const ACTIVE_MAX = 100_000;

/** Where jobs are looked at and put back by hand. */
export class JobDesk {
  private readonly connection: RedisConnection;

  constructor(connection: RedisConnection) {
    this.connection = connection;
  }

  counts(): Promise<JobCounts> {
    return this.connection.use(async (redis) => {
      const [waiting, inWork, delayed, suspects, parked] = await Promise.all([
        redis.llen(WAITING),
        redis.llen(ACTIVE),
        redis.zcard(DELAYED),
        redis.zcard(SUSPECTS),
        redis.scard(FAILED),
      ]);
      return { waiting, inWork, delayed, suspects, parked };
    });
  }

  /** Jobs come in at the head of a list and leave at its end. */
  oldestMs(): Promise<number | undefined> {
    return this.connection.use(async (redis) => {
      const [waiting, active, delayed, suspects] = await Promise.all([
        redis.lindex(WAITING, -1),
        redis.lindex(ACTIVE, -1),
        redis.zrange(DELAYED, "0", "0"),
        redis.zrange(SUSPECTS, "0", "0"),
      ]);
      const ids = [waiting, active, ...delayed, ...suspects].filter((id) => id !== null);
      if (ids.length === 0) return undefined;
      const found = await redis.hmget(JOBS, ...ids);
      const times = found.flatMap((json) =>
        json === null ? [] : parseJob(json).options.timestamp,
      );
      return times.length === 0 ? undefined : Math.min(...times);
    });
  }

  /** Every look of a worker sets this block for as long, see stalled.lua. */
  attended(): Promise<boolean> {
    return this.connection.use(async (redis) => (await redis.exists(STALL_BLOCK)) === 1);
  }

  /** The list of waiting jobs is not searched, it may be long: a job is there if nowhere else. */
  find(id: string): Promise<JobReport | undefined> {
    return this.connection.use(async (redis) => {
      const replies = await redis
        .multi()
        .hget(JOBS, id)
        .sismember(FAILED, id)
        .zscore(SUSPECTS, id)
        .zscore(DELAYED, id)
        .lpos(ACTIVE, id, "MAXLEN", ACTIVE_MAX)
        .exec();
      const values = (replies ?? []).map(([error, value]) => {
        if (error !== null) throw error;
        return value as string | number | null;
      });
      const [json, parked, level, dueMs, active] = values;
      if (typeof json !== "string") return undefined;
      const job = parseJob(json);
      const state = { place: "waiting", stalls: 0, dueMs: undefined } as const;
      if (parked === 1) return reportOf(id, job);
      if (typeof level === "string") {
        return reportOf(id, job, { ...state, place: "suspect", stalls: stallsOf(Number(level)) });
      }
      if (typeof dueMs === "string") {
        return reportOf(id, job, { ...state, place: "delayed", dueMs: Number(dueMs) });
      }
      if (typeof active === "number") return reportOf(id, job, { ...state, place: "in work" });
      return reportOf(id, job, state);
    });
  }

  listParked(limit: number): Promise<JobReport[]> {
    return this.connection.use(async (redis) => {
      let oldest: { id: string; job: BeeJob }[] = [];
      let cursor = "0";
      do {
        const [next, ids] = await redis.sscan(FAILED, cursor, "COUNT", PARKED_PAGE);
        cursor = next;
        const found = ids.length === 0 ? [] : await redis.hmget(JOBS, ...ids);
        found.forEach((json, at) => {
          if (json !== null) oldest.push({ id: ids[at]!, job: parseJob(json) });
        });
        // A scan may tell an id twice.
        oldest = [...new Map(oldest.map((one) => [one.id, one])).values()]
          .sort((one, other) => byAge(one.job, other.job))
          .slice(0, limit);
      } while (cursor !== "0");
      return oldest.map(({ id, job }) => reportOf(id, job));
    });
  }

  requeue(id: string): Promise<boolean> {
    return this.connection.use(async (redis) => {
      const json = await redis.hget(JOBS, id);
      if (json === null) return false;
      const job = parseJob(json);
      const alone = job.options.stalls === undefined ? [] : [SUSPECTS];
      return (await redis.requeue(FAILED, JOBS, WAITING, id, renewJob(job), ...alone)) === 1;
    });
  }

  drop(id: string): Promise<boolean> {
    return this.connection.use(async (redis) => (await redis.drop(FAILED, JOBS, id)) === 1);
  }

  async dropParked(pick: (ids: string[]) => Promise<string[]>): Promise<number> {
    let dropped = 0;
    let cursor = "0";
    do {
      const [next, ids] = await this.connection.use((redis) =>
        redis.sscan(FAILED, cursor, "COUNT", PARKED_PAGE),
      );
      cursor = next;
      const picked = ids.length === 0 ? [] : await pick(ids);
      if (picked.length === 0) continue;
      const reply = await this.connection.use((redis) => redis.drop(FAILED, JOBS, ...picked));
      dropped += reply as number;
    } while (cursor !== "0");
    return dropped;
  }
}

/** The one that was accepted first comes first, also within a millisecond. */
function byAge(one: BeeJob, other: BeeJob): number {
  const order = ({ options, data }: BeeJob) => {
    const { epoch = 0, accept = 0 } = (data ?? {}) as { epoch?: number; accept?: number };
    return [options.timestamp, epoch, accept];
  };
  const [first, second] = [order(one), order(other)];
  const at = first.findIndex((value, index) => value !== second[index]);
  return at < 0 ? 0 : first[at]! - second[at]!;
}

/** A parked job, unless told otherwise. */
function reportOf(
  id: string,
  { data, options }: BeeJob,
  state: Pick<JobReport, "place" | "stalls" | "dueMs"> = {
    place: "parked",
    stalls: options.stalls ?? 0,
    dueMs: undefined,
  },
): JobReport {
  const error = options.stacktraces[0]?.split("\n")[0] ?? "";
  // Bee-Queue takes no retry away for the try that parks a job.
  const left = state.place === "parked" && state.stalls === 0 ? 0 : options.retries + 1;
  return { id, data, tries: JOB_TRIES_MAX - left, error, ...state };
}
