import { Redis } from "ioredis";
import { ParleyError } from "../../errors.ts";
import { type ScriptedRedis, scripts } from "./scripts.ts";

/** How long a caller waits for a connection, and Redis may be silent while a command waits. */
const CONNECT_WAIT_MS = 500;
const SILENCE_MS = 1_000;
/** The pause before a connection is tried again; it doubles from the first to the last. */
const RETRY_MS = { first: 50, last: 500 };

/** A connection of this moment, and which one it is: no two have the same number. */
export interface Connected {
  redis: ScriptedRedis;
  connection: number;
}

/**
 * One connection to Redis at a time, from the first use on. Each has a client object of its own,
 * which never reconnects: so nothing that was meant for one connection can go out on the next,
 * whatever lies in a pipeline.
 */
export class RedisConnection {
  private readonly url: string;
  private connected: Connected | undefined;
  private attempt: Promise<Connected> | undefined;
  private count = 0;
  private failures = 0;
  private retry: NodeJS.Timeout | undefined;
  private stopped = false;
  private client: Redis | undefined;

  constructor(url: string) {
    this.url = url;
  }

  /** The connection, after a short wait where there is none; else a COUNTERS_UNAVAILABLE. */
  async get(): Promise<Connected> {
    if (this.connected !== undefined) return this.connected;
    this.attempt ??= this.connect();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(unavailable("no connection in time")), CONNECT_WAIT_MS);
    });
    try {
      return await Promise.race([this.attempt, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The client of a connection, undefined where that connection is gone. */
  clientOf(connection: number): ScriptedRedis | undefined {
    return this.connected?.connection === connection ? this.connected.redis : undefined;
  }

  /** Runs commands on the connection of this moment; whatever fails is COUNTERS_UNAVAILABLE. */
  async use<T>(commands: (redis: ScriptedRedis, connection: number) => Promise<T>): Promise<T> {
    const { redis, connection } = await this.get();
    try {
      return await commands(redis, connection);
    } catch (error) {
      throw unavailable(error);
    }
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.retry);
    this.client?.disconnect();
  }

  private connect(): Promise<Connected> {
    const attempt = new Promise<Connected>((resolve, reject) => {
      const redis = new Redis(this.url, {
        connectTimeout: SILENCE_MS,
        socketTimeout: SILENCE_MS,
        disconnectTimeout: SILENCE_MS,
        retryStrategy: () => null,
        enableOfflineQueue: false,
        enableReadyCheck: false,
        enableAutoPipelining: true,
        // One that gives numbers is many calls already, and need not wait for a pipeline to end.
        autoPipeliningIgnoredCommands: ["accept"],
        protocol: 2,
        disableClientInfo: true,
        scripts,
      }) as ScriptedRedis;
      this.client = redis;
      let failure: unknown;
      // A client with an error is given up at once. Above all one whose SELECT was refused, which
      // would go on in database 0.
      redis.on("error", (error) => {
        failure = error;
        redis.disconnect();
      });
      redis.once("ready", () => {
        if (failure !== undefined || this.stopped) return;
        this.failures = 0;
        this.connected = { redis, connection: ++this.count };
        resolve(this.connected);
      });
      redis.once("end", () => {
        this.connected = undefined;
        // First of all, so that whoever hears of this failure already finds the next attempt.
        if (!this.stopped) this.attempt = this.connectLater();
        reject(unavailable(failure ?? "connection closed"));
      });
    });
    attempt.catch(() => {});
    return attempt;
  }

  private connectLater(): Promise<Connected> {
    const pauseMs = Math.min(RETRY_MS.first * 2 ** this.failures++, RETRY_MS.last);
    const attempt = new Promise<Connected>((resolve, reject) => {
      this.retry = setTimeout(() => this.connect().then(resolve, reject), pauseMs);
    });
    attempt.catch(() => {});
    return attempt;
  }
}

/** The one error that leaves these adapters. */
export function unavailable(cause: unknown): ParleyError {
  if (cause instanceof ParleyError) return cause;
  return new ParleyError("COUNTERS_UNAVAILABLE", "Redis does not answer", { cause });
}
