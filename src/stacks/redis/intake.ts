import { randomUUID } from "node:crypto";
import type {
  Acceptance,
  AcceptRequest,
  BatchRequest,
  ExternalName,
  Grant,
  Inspection,
  Intake,
} from "../../core/intake.ts";
import { decodeJob } from "../../core/jobs.ts";
import type { Counter } from "../../core/ports.ts";
import { counterKeyOf, counterOfKey, requestHashOf, Told } from "../counters.ts";
import { Acceptor } from "./acceptor.ts";
import { RedisConnection, unavailable } from "./connection.ts";
import { parseJob, wrapDraft } from "./job.ts";
import { DIRTY, EXTERNAL_PREFIX, JOBS, LEDGER, REQUESTS_PREFIX } from "./keys.ts";
import type { ScriptedRedis } from "./scripts.ts";

export interface RedisIntakeOptions {
  url: string;
  /** How long a request id is remembered at least; at most twice as long. */
  requestIdTtlMs: number;
  /** Jobs from which on nothing is accepted. */
  backlogMax: number;
}

/** Counters, jobs and request ids in Redis; one script is the atomic step. */
export class RedisIntake implements Intake {
  private readonly options: RedisIntakeOptions;
  private readonly connection: RedisConnection;
  private readonly acceptor: Acceptor;
  private readonly told = new Told();

  constructor(options: RedisIntakeOptions) {
    this.options = options;
    this.acceptor = new Acceptor(options);
    this.connection = new RedisConnection(options.url);
  }

  stop(): void {
    this.connection.stop();
  }

  inspect(): Promise<Inspection> {
    return this.connection.use(async (redis, connection) => {
      const [[epoch, accepts, whole], server, replication, durable] = await Promise.all([
        redis.hmget(LEDGER, "epoch", "accepts", "whole"),
        redis.info("server"),
        redis.info("replication"),
        fsyncsAlways(redis),
      ]);
      const alone =
        infoOf(replication, "role") === "master" && infoOf(replication, "connected_slaves") === "0";
      return {
        connection,
        runId: infoOf(server, "run_id"),
        // Where half an accept came to life nothing holds: see accept.lua.
        epoch: whole === accepts ? Number(epoch ?? 0) : 0,
        accepts: Number(accepts ?? 0),
        durable: durable && alone,
      };
    });
  }

  async install({ connection, epoch }: { connection: number; epoch: number }): Promise<boolean> {
    const redis = this.connection.clientOf(connection);
    if (redis === undefined) return false;
    const installed = await redis.install(LEDGER, epoch).catch(rethrow);
    return installed === 1;
  }

  async accept(request: AcceptRequest): Promise<Acceptance> {
    const { externalId, lookOnly } = request;
    const { head, tail } = wrapDraft(request);
    const letter = lookOnly ? "l" : "n";
    const more =
      externalId === undefined ? "" : `${letter}${JSON.stringify(externalId.toWellFormed())}`;
    return this.take(request, { head, tail, more, jobs: 1 });
  }

  async acceptBatch(request: BatchRequest): Promise<Acceptance> {
    const { head, tail } = wrapDraft(request);
    const { contents } = request;
    const jobs = contents.length;
    return this.take(request, { head, tail, more: [jobs, ...contents].join("\n"), jobs });
  }

  async findNamed({ externalId, ...of }: ExternalName): Promise<number | undefined> {
    const found = await this.connection.use((redis) => redis.hget(externalKeyOf(of), externalId));
    return found === null ? undefined : Number(found);
  }

  async freeName({ externalId, number, ...of }: ExternalName & { number: number }): Promise<void> {
    await this.connection.use((redis) => redis.forget(externalKeyOf(of), externalId, number));
  }

  async grant(grant: Grant): Promise<boolean> {
    const redis = this.connection.clientOf(grant.connection);
    if (redis === undefined) return false;
    const { epoch, ceiling, start = "", mark = "", lost } = grant;
    const keys = [counterKeyOf(grant.counter), LEDGER, DIRTY];
    const granted = await redis
      .grant(...keys, epoch, ceiling, start, mark, lost ? 1 : 0)
      .catch(rethrow);
    return granted === 1;
  }

  async counts(counters: Counter[]): Promise<(number | undefined)[]> {
    if (counters.length === 0) return [];
    return this.connection.use(async (redis) => {
      const keys = counters.map(counterKeyOf);
      const values = await redis.mget(keys);
      const numberOf = (value: string) => (/^\d+$/.test(value) ? Number(value) : Number.NaN);
      return Promise.all(
        values.map((value, at) => (value === null ? absence(redis, keys[at]!) : numberOf(value))),
      );
    });
  }

  async remove(counter: Counter, expected?: { value: number | undefined }): Promise<boolean> {
    const mark = `${expected === undefined ? "removed" : "closed"}:${randomUUID()}`;
    const value = expected === undefined ? "*" : (expected.value ?? "");
    const whole = expected === undefined && counter.chatNumber === undefined;
    const [removed] = await this.connection.use((redis) =>
      Promise.all([
        redis.remove(counterKeyOf(counter), LEDGER, DIRTY, mark, value),
        // After the mark, from which on none is added.
        ...(whole ? [redis.unlink(externalKeyOf(counter))] : []),
      ]),
    );
    return removed === 1;
  }

  async markOf(counter: Counter): Promise<string> {
    const entry = await this.connection.use((redis) => redis.hget(LEDGER, counterKeyOf(counter)));
    return entry === null || /^\d+$/.test(entry) ? "" : entry;
  }

  async erase(counters: Counter[]): Promise<void> {
    if (counters.length === 0) return;
    const keys = counters.map(counterKeyOf);
    const whole = counters.filter((one) => one.chatNumber === undefined).map(externalKeyOf);
    await this.connection.use((redis) =>
      Promise.all([
        redis.unlink(...keys, ...whole),
        redis.hdel(LEDGER, ...keys),
        redis.hdel(DIRTY, ...keys),
      ]),
    );
  }

  async find(jobIds: string[]): ReturnType<Intake["find"]> {
    if (jobIds.length === 0) return [];
    const found = await this.connection.use((redis) => redis.hmget(JOBS, ...jobIds));
    return found.map((json) => {
      if (json === null) return undefined;
      const { data, status } = parseJob(json);
      return { job: decodeJob(data), parked: status === "failed" };
    });
  }

  /** Drawn at random, so that counters which cannot be copied yet do not hide the others. */
  async changed(limit: number): Promise<Counter[]> {
    const found = await this.connection.use((redis) =>
      redis.hrandfield(DIRTY, limit, "WITHVALUES"),
    );
    const counters: Counter[] = [];
    const pairs = found ?? [];
    for (let at = 0; at < pairs.length; at += 2) {
      const key = pairs[at] as string;
      this.told.note(key, pairs[at + 1] as string);
      counters.push(counterOfKey(key));
    }
    return counters;
  }

  async forget(counters: Counter[]): Promise<void> {
    const pairs = counters.flatMap((counter) => {
      const key = counterKeyOf(counter);
      const change = this.told.take(key);
      return change === undefined ? [] : [key, change];
    });
    if (pairs.length === 0) return;
    await this.connection.use((redis) => redis.forget(DIRTY, ...pairs));
  }

  async areChanged(counters: Counter[]): Promise<boolean[]> {
    if (counters.length === 0) return [];
    const keys = counters.map(counterKeyOf);
    const changes = await this.connection.use((redis) => redis.hmget(DIRTY, ...keys));
    return changes.map((change) => change !== null);
  }

  backlog(): Promise<{ jobs: number; requestIds: number }> {
    return this.connection.use(async (redis) => {
      const [seconds, microseconds] = await redis.time();
      const ms = Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
      const slice = Math.floor(ms / this.options.requestIdTtlMs);
      const [jobs, current, previous] = await Promise.all([
        redis.hlen(JOBS),
        redis.hlen(`${REQUESTS_PREFIX}${slice}`),
        redis.hlen(`${REQUESTS_PREFIX}${slice - 1}`),
      ]);
      return { jobs, requestIds: current + previous };
    });
  }

  /** Says one call as accept.lua takes it. */
  private take(
    { counter, connection, epoch, seen, request, createMs }: AcceptRequest | BatchRequest,
    { head, tail, more, jobs }: { head: string; tail: string; more: string; jobs: number },
  ): Promise<Acceptance> | Acceptance {
    const redis = this.connection.clientOf(connection);
    if (redis === undefined) return { kind: "distrusted" };
    const counterKey = counterKeyOf(counter);
    const said =
      request === undefined
        ? "\n\n"
        : `${requestHashOf(counterKey, request.id)}\n${request.digest}\n${createMs.toString(36)}`;
    const words = `${counterKey}\n${said}\n${head}\n${tail}\n${more}\n`;
    return this.acceptor.add({ redis, epoch, seen }, { words, jobs });
  }
}

/** What a counter says that MGET found nothing of: it takes what is no text for nothing. */
async function absence(redis: ScriptedRedis, key: string): Promise<number | undefined> {
  const type = await redis.type(key);
  // A text has come meanwhile.
  return type === "none" || type === "string" ? undefined : Number.NaN;
}

function externalKeyOf({ applicationToken }: { applicationToken: string }): string {
  return `${EXTERNAL_PREFIX}${applicationToken}`;
}

/** False also where Redis does not let us ask, as hosted ones do not. */
async function fsyncsAlways(redis: ScriptedRedis): Promise<boolean> {
  let pairs: unknown[] = [];
  try {
    pairs = (await redis.config("GET", "append*")) as unknown[];
  } catch (error) {
    if (!/^(NOPERM|ERR)/.test((error as Error).message)) throw error;
  }
  const is = (name: string, value: string) => pairs[pairs.indexOf(name) + 1] === value;
  return is("appendonly", "yes") && is("appendfsync", "always");
}

function infoOf(info: string, name: string): string {
  return new RegExp(`^${name}:(.*?)\r?$`, "m").exec(info)?.[1] ?? "";
}

function rethrow(error: unknown): never {
  throw unavailable(error);
}
