import type { Config } from "../config.ts";
import type { Stack } from "../core/ports.ts";
import { isUnavailable } from "../errors.ts";
import { openElastic } from "./elastic/client.ts";
import { examineElastic } from "./elastic/examine.ts";
import { ElasticSearchIndex } from "./elastic/search-index.ts";
import type { OpenOptions } from "./options.ts";
import { examineRedis } from "./redis/examine.ts";
import { RedisIntake } from "./redis/intake.ts";
import { RedisLease } from "./redis/lease.ts";
import { BeeQueue } from "./redis/queue.ts";
import { RedisWakeup } from "./redis/wakeup.ts";
import { SqlDeletions } from "./sql/deletions.ts";
import { examineMysql } from "./sql/examine.ts";
import { SqlLedger } from "./sql/ledger.ts";
import { migrate, pendingMigrations } from "./sql/migrate.ts";
import { closeOrm, type Orm, openMysqlOrm } from "./sql/orm.ts";
import { SqlStore } from "./sql/store.ts";
import { SqlUpkeep } from "./sql/upkeep.ts";

/** MySQL or MariaDB, Redis and Elasticsearch. A server wants the database alone at its start. */
export async function openProduction(config: Config, options: OpenOptions): Promise<Stack> {
  const { processId } = options;
  const orm = await openDatabase(config);
  try {
    const pending = options.unready ? [] : await pendingMigrations(orm);
    if (pending.length > 0) {
      throw new Error(`the database lacks ${pending.join(", ")}: run npm run migrate`);
    }
  } catch (error) {
    if (!options.lenient || !isUnavailable(error)) {
      await closeOrm(orm);
      throw named(error);
    }
  }
  const redis = { url: config.PARLEY_REDIS_URL };
  const intake = new RedisIntake({
    ...redis,
    requestIdTtlMs: config.PARLEY_REQUEST_ID_TTL * 1_000,
    backlogMax: config.PARLEY_BACKLOG_MAX,
  });
  const queue = new BeeQueue({
    ...redis,
    stallMs: config.PARLEY_STALL_MS,
    log: options.log,
  });
  const lease = new RedisLease(redis);
  const wakeup = new RedisWakeup(redis);
  const upkeep = new SqlUpkeep({ orm });
  const client = openElastic(config.PARLEY_ELASTICSEARCH_URL);
  return {
    name: "production",
    intake,
    queue,
    store: new SqlStore({ orm, processId }),
    ledger: new SqlLedger({ orm }),
    deletions: new SqlDeletions({ orm }),
    index: new ElasticSearchIndex(client, config.PARLEY_ELASTICSEARCH_INDEX),
    lease,
    wakeup,
    upkeep,
    examine: async () => {
      const adopted = () => upkeep.adoptedIndex();
      const found = await Promise.all([
        examineMysql(orm, { poolMax: config.PARLEY_MYSQL_POOL_MAX }),
        examineRedis(redis),
        examineElastic(client, { alias: config.PARLEY_ELASTICSEARCH_INDEX, adopted }),
      ]);
      return found.flat();
    },
    stop: async () => {
      intake.stop();
      lease.stop();
      wakeup.stop();
      await Promise.all([queue.stop(0), client.close(), closeOrm(orm)]);
    },
  };
}

export async function migrateProduction(config: Config): Promise<string[]> {
  const orm = await openDatabase(config);
  try {
    return await migrate(orm);
  } catch (error) {
    throw named(error);
  } finally {
    await closeOrm(orm);
  }
}

/** Whoever starts a process must hear which setting leads to the database that fails. */
function named(error: unknown): unknown {
  if (!isUnavailable(error)) return error;
  const { message } = error.cause as Error;
  return new Error(`PARLEY_MYSQL_URL: ${message}`, { cause: undefined });
}

function openDatabase(config: Config): Promise<Orm> {
  return openMysqlOrm({ url: config.PARLEY_MYSQL_URL, poolMax: config.PARLEY_MYSQL_POOL_MAX });
}
