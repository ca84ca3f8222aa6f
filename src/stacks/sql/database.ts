import { setTimeout as sleep } from "node:timers/promises";
import type { SqlEntityManager } from "@mikro-orm/sql";
import { failureOf, storeUnavailable } from "./failures.ts";
import type { Dialect, Orm } from "./orm.ts";

/** What statements go through: MikroORM's entity manager, inside a transaction or outside. */
export type Session = SqlEntityManager;

export type Value = string | number | boolean | Date | null | undefined;

/** A whole step, from the wait for a connection to the commit, fails after this time. */
const STEP_TIMEOUT_MS = 10_000;

/** Tries of a transaction that others stand in the way of, and the longest pause between two. */
const TRIES_MAX = 5;
const PAUSE_MS_MAX = 50;

/** A database through MikroORM. Its errors leave here as STORE_UNAVAILABLE, or as they are. */
export class Database {
  readonly dialect: Dialect;
  private readonly orm: Orm;

  constructor(orm: Orm) {
    this.orm = orm;
    this.dialect = orm.dialect;
  }

  /** Reads outside a transaction. Entities are not tracked. */
  async read<T>(work: (em: Session) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await within(STEP_TIMEOUT_MS, work(this.fork(signal)));
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw outward(error);
    }
  }

  /**
   * Runs in one transaction, and again where a deadlock or a lock wait undid it. `work` must send
   * its statements through the manager it is given: on SQLite any other would wait for itself.
   */
  async transaction<T>(work: (em: Session) => Promise<T>): Promise<T> {
    const startMs = Date.now();
    for (let tries = 1; ; tries++) {
      try {
        const run = this.fork().transactional((em) => work(em as Session));
        return await within(STEP_TIMEOUT_MS, run);
      } catch (error) {
        const again = tries < TRIES_MAX && Date.now() - startMs < STEP_TIMEOUT_MS / 2;
        if (!again || failureOf(error) !== "contention") throw outward(error);
        await sleep(Math.random() * PAUSE_MS_MAX);
      }
    }
  }

  /** Rows of a statement with `?` for each value. */
  async rows<T>(em: Session, sql: string, values: Value[] = []): Promise<T[]> {
    const result = await em.getKysely().executeQuery(this.statement(sql, values));
    return result.rows as T[];
  }

  /** How many rows a statement inserted, changed or deleted; one that is as it was does not count. */
  async run(em: Session, sql: string, values: Value[] = []): Promise<number> {
    const result = await em.getKysely().executeQuery(this.statement(sql, values));
    return Number(result.numAffectedRows ?? 0);
  }

  async close(): Promise<void> {
    await this.orm.mikro.close();
  }

  private fork(signal?: AbortSignal): Session {
    const em = this.orm.mikro.em as unknown as Session;
    return em.fork(signal === undefined ? {} : { signal }) as Session;
  }

  /**
   * A statement as Kysely takes it. MikroORM's own `execute` writes the values into the text, which
   * SQLite cannot read beyond a NUL, and where its driver takes any text with the word "returning"
   * for a query.
   */
  private statement(sql: string, values: Value[]): Statement {
    const parameters = this.dialect === "sqlite" ? values.map(forSqlite) : values;
    const query = { kind: "RawNode", sqlFragments: [sql], parameters: [] };
    return { sql, parameters, query, queryId: { queryId: "" } } as unknown as Statement;
  }
}

type Statement = Parameters<ReturnType<Session["getKysely"]>["executeQuery"]>[0];

function forSqlite(value: Value): string | number | null {
  if (value instanceof Date) return value.getTime();
  if (typeof value === "boolean") return Number(value);
  return value ?? null;
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const late = new AbortController();
  const timeout = sleep(ms, undefined, { signal: late.signal }).then(() => {
    throw new Error(`the database did not answer within ${ms} ms`);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    late.abort();
    timeout.catch(() => {});
  }
}

function outward(error: unknown): unknown {
  const failure = failureOf(error);
  return failure === "away" || failure === "contention" ? storeUnavailable(error) : error;
}
