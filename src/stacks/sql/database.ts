import { setImmediate as breathe, setTimeout as sleep } from "node:timers/promises";
import type { SqlEntityManager } from "@mikro-orm/sql";
import { failureOf, storeUnavailable, withoutStatement } from "./failures.ts";
import type { Dialect, Orm } from "./orm.ts";

/** What statements go through: MikroORM's entity manager, inside a transaction or outside. */
export type Session = SqlEntityManager;

export type Value = string | number | boolean | Date | null | undefined;

/** Tries of a transaction that others stand in the way of, and the longest pause between two. */
const TRIES_MAX = 5;
const PAUSE_MS_MAX = 50;

/** A database through MikroORM. Its errors leave here as STORE_UNAVAILABLE, or without values. */
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
      return await this.step(() => work(this.fork(signal)));
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw outward(error);
    }
  }

  /**
   * Runs in one transaction, and again where a deadlock or a lock wait undid it. `work` must send
   * its statements through the session it is given: on SQLite any other would wait for itself.
   */
  async transaction<T>(work: (em: Session) => Promise<T>): Promise<T> {
    const againMs = Date.now() + this.orm.timeouts.stepMs / 2;
    for (let tries = 1; ; tries++) {
      try {
        return await this.step(() =>
          this.fork().transactional(async (em) => {
            // SQLite answers at once: transactions in a row would leave no turn to anything else.
            if (this.dialect === "sqlite") await breathe();
            return work(em as Session);
          }),
        );
      } catch (error) {
        const again = tries < TRIES_MAX && Date.now() < againMs;
        if (!again || failureOf(error) !== "contention") throw outward(error);
        await sleep(Math.random() * PAUSE_MS_MAX);
      }
    }
  }

  /** Rows of a statement with `?` for each value. They are not waited for once it is aborted. */
  async rows<T>(
    em: Session,
    sql: string,
    values: Value[] = [],
    signal?: AbortSignal,
  ): Promise<T[]> {
    const options = signal === undefined ? {} : { signal };
    const result = await em.getKysely().executeQuery(this.statement(sql, values), options);
    return result.rows as T[];
  }

  /** How many rows a statement inserted, changed or deleted; one left as it was does not count. */
  async run(em: Session, sql: string, values: Value[] = []): Promise<number> {
    const result = await em.getKysely().executeQuery(this.statement(sql, values));
    return Number(result.numAffectedRows ?? 0);
  }

  /** One try, within the time for it. What comes after that time is not waited for. */
  private async step<T>(work: () => Promise<T>): Promise<T> {
    if (this.orm.closed) throw new Error("the database is closed");
    const { stepMs } = this.orm.timeouts;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = () => new Error(`the database did not answer within ${stepMs} ms`);
      timer = setTimeout(() => reject(error()), stepMs);
    });
    try {
      return await Promise.race([work(), late]);
    } finally {
      clearTimeout(timer);
    }
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

function outward(error: unknown): unknown {
  const failure = failureOf(error);
  if (failure === "defect") return error;
  return failure === "data" ? withoutStatement(error) : storeUnavailable(error);
}
