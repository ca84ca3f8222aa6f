import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import Queue from "bee-queue";
import { takeStepsTogether } from "./bee-steps.ts";
import { QUEUE_NAME, QUEUE_PREFIX } from "./keys.ts";

/** How long a connection may be idle before it is asked whether it lives. */
const KEEP_ALIVE_MS = 10_000;
/** How long Redis may take to answer while the queue is connected, and before. */
const SILENCE_MS = 5_000;
/** At least so often, retries that are due are looked for. */
const DELAYED_POLL_MS = 1_000;

/** The pause before retries that are due are looked for again, where the connection is gone. */
const DELAYED_PAUSE_MS = 100;

// Bee-Queue listens to the errors of a client until it has failed once. The client of a server that
// hangs up tells of a second one, which nobody would hear, and which would end the process.
const redis = createRequire(import.meta.resolve("bee-queue"))("redis") as {
  createClient(options: unknown): { on(event: "error", heard: () => void): unknown };
};
const { createClient } = redis;
redis.createClient = (options) => {
  const client = createClient(options);
  client.on("error", () => {});
  return client;
};

/** What a Bee-Queue object has beside what its types say. */
interface Inside {
  client?: { end(flush: boolean): void } | null;
  bclient?: { end(flush: boolean): void } | null;
  eclient?: { end(flush: boolean): void } | null;
  /** How many jobs it takes to be in work. */
  running?: number;
  _activateDelayed?: () => void;
}

/**
 * One Bee-Queue object, from its start to its first trouble. It is never mended: after a lost
 * connection its takers sleep for hours (their pauses double together), after a SCRIPT FLUSH it
 * fails for ever (scripts are loaded at the start alone). So at any trouble a new session takes
 * over, and this one ends what it has in work.
 */
export class BeeSession {
  /** Resolves when the session is of no more use, with the reason; never rejects. */
  readonly trouble: Promise<unknown>;
  private readonly queue: Queue & Inside;
  private fail: (reason: unknown) => void = () => {};
  private handling = 0;
  private ended = false;

  constructor({ url, stallMs }: { url: string; stallMs: number }) {
    this.trouble = new Promise((resolve) => {
      this.fail = (reason) => {
        this.ended = true;
        resolve(reason);
      };
    });
    this.queue = new Queue(QUEUE_NAME, {
      prefix: QUEUE_PREFIX,
      redis: connectionOf(url),
      getEvents: false,
      sendEvents: false,
      storeJobs: false,
      removeOnSuccess: true,
      activateDelayedJobs: true,
      nearTermWindow: DELAYED_POLL_MS,
      delayedDebounce: 100,
      stallInterval: stallMs,
      // Takers of a lost session must not sleep: they end as soon as they see that it is closed.
      ...{ initialRedisFailureRetryDelay: 0 },
    });
    takeStepsTogether(this.queue);
    // On a connection that is gone it would call itself for ever, and let nothing else have a turn.
    const activateDelayed = this.queue._activateDelayed!.bind(this.queue);
    this.queue._activateDelayed = () => {
      sleep(DELAYED_PAUSE_MS, undefined, { ref: false }).then(() => {
        if (!this.ended) activateDelayed();
      });
    };
    this.queue.on("error", (error: Error) => {
      // A job that is no JSON is no reason to stop; all other errors are Redis's.
      if (!(error instanceof SyntaxError)) this.fail(error);
    });
  }

  /** Connects and hands jobs out; throws where that fails. */
  async start(
    concurrency: number,
    handle: (job: { id: string; data: unknown }) => Promise<void>,
  ): Promise<void> {
    await bounded(this.queue.ready(), "Bee-Queue did not connect");
    this.queue.process(concurrency, async ({ id, data }) => {
      this.handling++;
      try {
        await handle({ id, data });
      } finally {
        this.handling--;
      }
    });
  }

  /**
   * Asks whether its connection and its scripts are still there. Bee-Queue's check for dead workers
   * finds itself blocked and does nothing, see stalled.lua.
   */
  async probe(): Promise<void> {
    try {
      await bounded(this.queue.checkStalledJobs(), "Bee-Queue's connection is silent");
    } catch (error) {
      this.fail(error);
    }
  }

  /** Ends the session for a reason that only its owner can see. */
  giveUp(reason: string): void {
    this.fail(new Error(reason));
  }

  /** True from its first trouble on, or when it was closed. */
  get over(): boolean {
    return this.ended;
  }

  /** Places that Bee-Queue takes to be in use and are not: it never frees those of ghosts. */
  get lostPlaces(): number {
    return (this.queue.running ?? 0) - this.handling;
  }

  /** Takes no more jobs, waits for those in work at most `graceMs`, and disconnects. */
  async close(graceMs: number): Promise<void> {
    this.fail(new Error("closed"));
    // Bee-Queue takes no grace of 0, and its QUIT would wait for a silent Redis for ever.
    const closed = this.queue.close(Math.max(1, graceMs));
    await bounded(closed, "Bee-Queue did not close", graceMs + SILENCE_MS).catch(() => {});
    this.disconnect();
    // A connection that comes about too late would be nobody's.
    this.queue.ready().then(
      () => this.disconnect(),
      () => {},
    );
  }

  private disconnect(): void {
    for (const name of ["client", "bclient", "eclient"] as const) this.queue[name]?.end(true);
  }
}

/** Bee-Queue is given options, not a client: it takes no other client than its own for one. */
function connectionOf(url: string) {
  const { protocol, hostname, port, pathname, username, password } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  return {
    host,
    port: Number(port || 6379),
    db: Number(pathname.slice(1) || 0),
    ...(username !== "" && { user: decodeURIComponent(username) }),
    ...(password !== "" && { password: decodeURIComponent(password) }),
    ...(protocol === "rediss:" && { tls: { servername: host } }),
    connect_timeout: SILENCE_MS,
    socket_keepalive: true,
    socket_initial_delay: KEEP_ALIVE_MS,
    // A client that lost its connection is not connected again, see above.
    retry_strategy: () => undefined,
  };
}

async function bounded<T>(work: Promise<T>, message: string, ms = SILENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(message)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
