import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { createConnection } from "mysql2/promise";
import { envFile } from "../../scripts/services/place.ts";

/** A place of its own on the real servers, for one test: nothing in it was there before. */
export interface FreshServers {
  mysqlUrl: string;
  redisUrl: string;
  /** Nodes of one cluster, with commas in between. */
  elasticsearchUrls: string;
  /** The name that the index and its alias begin with. */
  elasticsearchIndex: string;
  /** Takes it all away again. */
  drop(): Promise<void>;
}

const NAMES = ["PARLEY_MYSQL_URL", "PARLEY_REDIS_URL", "PARLEY_ELASTICSEARCH_URL"] as const;

/** Why the production stack cannot be tested here; undefined where it can. */
export const productionMissing: string | undefined = await lookForServers();

if (productionMissing !== undefined && process.env.PARLEY_TEST_REQUIRE_PRODUCTION === "1") {
  throw new Error(`the production stack is required for this run: ${productionMissing}`);
}

async function lookForServers(): Promise<string | undefined> {
  const lines = existsSync(envFile) ? readFileSync(envFile, "utf8").split("\n") : [];
  for (const line of lines) {
    const at = line.indexOf("=");
    if (at > 0) process.env[line.slice(0, at)] ??= line.slice(at + 1).trim();
  }
  for (const name of NAMES) {
    const url = process.env[name];
    if (url === undefined) return `${name} is not set (npm run services:up)`;
    if (!(await answers(new URL(url.split(",")[0]!))))
      return `nothing listens at ${name} (npm run services:up)`;
  }
  return undefined;
}

function answers(url: URL): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: url.hostname, port: Number(url.port), timeout: 1_000 });
    const end = (up: boolean) => {
      socket.destroy();
      resolve(up);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
    socket.once("timeout", () => end(false));
  });
}

let used = 0;

/** Databases that the test's Redis has beside the first, see scripts/services/redis.ts. */
const REDIS_DATABASES = 1_023;

/** Servers of a test's own in place of those that all tests share. */
export interface OwnServers {
  mysqlUrl?: string;
  redisUrl?: string;
}

/** Makes a database, an emptied Redis database and an index name that no other test has. */
export async function freshServers(own: OwnServers = {}): Promise<FreshServers> {
  const name = `parley_test_${process.pid}_${++used}`;
  const adminUrl = own.mysqlUrl ?? process.env.PARLEY_MYSQL_URL!;
  const mysqlUrl = new URL(adminUrl);
  const admin = await createConnection(mysqlUrl.href);
  await admin.query(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
  await admin.end();
  mysqlUrl.pathname = `/${name}`;

  const redisUrl = new URL(own.redisUrl ?? process.env.PARLEY_REDIS_URL!);
  if (own.redisUrl === undefined) {
    // Told in turn by the first database, so that runs side by side have other ones.
    const turn = await withRedis(redisUrl.href, (redis) => redis.incr("parley-test:databases"));
    redisUrl.pathname = `/${1 + (turn % REDIS_DATABASES)}`;
  }
  await withRedis(redisUrl.href, (redis) => redis.flushdb());

  return {
    mysqlUrl: mysqlUrl.href,
    redisUrl: redisUrl.href,
    elasticsearchUrls: process.env.PARLEY_ELASTICSEARCH_URL!,
    elasticsearchIndex: name,
    drop: async () => {
      // Servers of its own end with the test, if they did not before.
      if (own.mysqlUrl === undefined) {
        const connection = await createConnection(adminUrl);
        await connection.query(`DROP DATABASE IF EXISTS ${name}`);
        await connection.end();
      }
      if (own.redisUrl === undefined) await withRedis(redisUrl.href, (redis) => redis.flushdb());
      const { url } = elasticOf(process.env);
      await fetch(`${url}/${name}*?expand_wildcards=all`, { method: "DELETE" });
    },
  };
}

/** Where a test reaches Elasticsearch by itself, and the name of its index there. */
export function elasticOf(env: NodeJS.ProcessEnv): { url: string; alias: string } {
  const [url] = env.PARLEY_ELASTICSEARCH_URL!.split(",");
  return { url: url!, alias: env.PARLEY_ELASTICSEARCH_INDEX ?? "" };
}

async function withRedis<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url);
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}

/** An empty data folder for the embedded stack, and its removal. */
export function freshDataDir(): { dataDir: string; drop(): Promise<void> } {
  const dataDir = mkdtempSync(join(tmpdir(), "parley-test-"));
  return { dataDir, drop: async () => rmSync(dataDir, { recursive: true, force: true }) };
}
