import type { Finding } from "../../core/upkeep.ts";
import { addOldestJob, examined, type Findings, isAtLeast, percentOf } from "../findings.ts";
import { RedisConnection } from "./connection.ts";
import { parseJob } from "./job.ts";
import { JOBS, WAITING } from "./keys.ts";
import type { ScriptedRedis } from "./scripts.ts";

/** HRANDFIELD, which a sync of counts asks, came with it. */
const VERSION_MIN = "6.2";

const PART = { name: "Redis", advice: "start it, or see that PARLEY_REDIS_URL leads to it" };

/** What Redis says of itself, as far as numbers and jobs depend on it. */
export async function examineRedis({ url }: { url: string }): Promise<Finding[]> {
  const connection = new RedisConnection(url);
  try {
    return await examined(PART, (findings) =>
      connection.use(async (redis) => {
        // The first one has the connection's beginnings in it.
        await redis.ping();
        const startMs = performance.now();
        await redis.ping();
        const tookMs = (performance.now() - startMs).toFixed(1);
        const info = parseInfo(await redis.info());
        findings.note(`${info.get("redis_version")} answers in ${tookMs} ms`);
        addServer(findings, info);
        addMemory(findings, info);
        await addSettings(findings, redis);
        await addClock(findings, redis);
        addOldestJob(findings, await oldestJobMs(redis), Date.now());
      }),
    );
  } finally {
    connection.stop();
  }
}

export function addServer(findings: Findings, info: Map<string, string>): void {
  const version = info.get("redis_version") ?? "0";
  if (!isAtLeast(version, VERSION_MIN)) {
    findings.error(`version ${version} is too old`, `use ${VERSION_MIN} or newer`);
  }
  if (info.get("role") !== "master") {
    findings.error("it is a replica", "PARLEY_REDIS_URL must lead to the primary");
  }
  const replicas = info.get("connected_slaves") ?? "0";
  if (replicas !== "0") {
    findings.note(
      `it has ${replicas} replicas, so every restart begins a new epoch and skips numbers`,
      "nothing, if the replicas are meant",
    );
  }
  if (info.get("loading") === "1") {
    findings.error("it is still loading its data", "wait until it has");
  }
  if (info.get("aof_last_write_status") === "err") {
    findings.error("it cannot write its append-only file", "see its log and its disk");
  }
}

function addMemory(findings: Findings, info: Map<string, string>): void {
  const policy = info.get("maxmemory_policy");
  if (policy !== undefined && policy !== "noeviction") {
    findings.error(
      `maxmemory-policy is ${policy}, so counters and jobs may be thrown away`,
      "CONFIG SET maxmemory-policy noeviction, and in redis.conf",
    );
  }
  const most = Number(info.get("maxmemory") ?? 0);
  const percent = percentOf(Number(info.get("used_memory") ?? 0), most);
  const what = `${percent} % of maxmemory are used`;
  const advice = "raise maxmemory, or see why jobs wait; creates are refused when it is full";
  if (percent >= 90) findings.error(what, advice);
  else if (percent >= 75) findings.warning(what, advice);
}

async function addSettings(findings: Findings, redis: ScriptedRedis): Promise<void> {
  let pairs: unknown[];
  try {
    pairs = (await redis.config("GET", "append*")) as unknown[];
  } catch {
    findings.note(
      "it does not let us read its settings, so every restart begins a new epoch",
      "see for yourself that appendonly is yes and appendfsync always",
    );
    return;
  }
  const value = (name: string) => String(pairs[pairs.indexOf(name) + 1]);
  if (value("appendonly") !== "yes") {
    findings.error(
      "appendonly is off, so a crash loses messages that were answered",
      "CONFIG SET appendonly yes, and in redis.conf",
    );
  } else if (value("appendfsync") !== "always") {
    findings.error(
      `appendfsync is ${value("appendfsync")}, so a crash loses the last messages answered`,
      "CONFIG SET appendfsync always, and in redis.conf",
    );
  }
}

async function addClock(findings: Findings, redis: ScriptedRedis): Promise<void> {
  const beforeMs = Date.now();
  const [seconds, microseconds] = await redis.time();
  const serverMs = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
  findings.clock(serverMs, { beforeMs, afterMs: Date.now() });
}

/** When the job that waits longest was accepted. */
async function oldestJobMs(redis: ScriptedRedis): Promise<number | undefined> {
  const id = await redis.lindex(WAITING, -1);
  const json = id === null ? null : await redis.hget(JOBS, id);
  return json === null ? undefined : parseJob(json).options.timestamp;
}

function parseInfo(text: string): Map<string, string> {
  const pairs = text.matchAll(/^(\w+):(.*?)\r?$/gm);
  return new Map([...pairs].map((pair) => [pair[1]!, pair[2]!]));
}
