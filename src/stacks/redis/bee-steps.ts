import { createRequire } from "node:module";
import type Queue from "bee-queue";
import { ACTIVE, JOBS, STALLING, WAITING } from "./keys.ts";
import { read } from "./scripts.ts";

// Bee-Queue takes eight commands for each job, most of what a job costs both sides. Here its steps
// are taken for many jobs at once, over the very keys that its own steps use.

/** Jobs of one step: Lua takes some 8,000 arguments in one call. */
const STEP_JOBS_MAX = 1_000;

const scripts = { take: read("take"), untake: read("untake"), finish: read("finish") };

type Job = Queue.Job<unknown>;
const { fromData } = createRequire(import.meta.resolve("bee-queue"))("./lib/job") as {
  fromData(queue: Queue, id: string, json: string): Job;
};

type Callback = (error: Error | null, reply: unknown) => void;

/** Where Bee-Queue's objects differ from what its types say. */
interface Inside {
  paused: boolean;
  _isClosed: boolean;
  client: {
    eval(script: string, keys: number, ...words: (string | number | Callback)[]): void;
    srem(key: string, ids: string[], done: Callback): void;
  };
  _waitForJob(): Promise<Job | null>;
  _preventStall(id: string): Promise<unknown>;
  _finishJob(error: unknown, result: unknown, job: Job): Promise<unknown>;
}

/** Puts steps for many jobs in the place of a queue's own. */
export function takeStepsTogether(queue: Queue): void {
  const inside = queue as unknown as Inside;
  const takers = new Takers(queue, inside._waitForJob.bind(queue));
  inside._waitForJob = () => takers.wait();

  const finishOne = inside._finishJob.bind(queue);
  const finish = inTurns((ids) => run(inside, scripts.finish, [ACTIVE, STALLING, JOBS], ids));
  inside._finishJob = async (error, result, job) => {
    // What did not succeed is rare, and Bee-Queue's own: it knows when it is tried again.
    if (error || inside._isClosed) return finishOne(error, result, job);
    await finish(job.id);
    return ["succeeded", result];
  };

  inside._preventStall = inTurns(
    (ids) =>
      new Promise((resolve, reject) => {
        inside.client.srem(STALLING, ids, (error) => (error === null ? resolve(0) : reject(error)));
      }),
  );
}

/** Those of a queue who wait for a job. */
class Takers {
  private readonly queue: Queue;
  private readonly inside: Inside;
  private readonly waitForOne: () => Promise<Job | null>;
  private readonly waiting: ((job: Job | null | Promise<Job | null>) => void)[] = [];
  private serving = false;

  /** `waitForOne` waits until there is a job, as Bee-Queue does for each. */
  constructor(queue: Queue, waitForOne: () => Promise<Job | null>) {
    this.queue = queue;
    this.inside = queue as unknown as Inside;
    this.waitForOne = waitForOne;
  }

  /** Null from one that takes no more. */
  wait(): Promise<Job | null> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.serve();
    });
  }

  private serve(): void {
    if (this.serving) return;
    this.serving = true;
    setImmediate(() => {
      this.serveAll()
        .catch((error: Error) => {
          this.queue.emit("error", error);
          this.giveUp();
        })
        .finally(() => {
          this.serving = false;
          if (this.waiting.length > 0) this.serve();
        });
    });
  }

  private async serveAll(): Promise<void> {
    while (this.waiting.length > 0 && !this.inside.paused) {
      if (await this.take()) continue;
      // Nothing waits. One of them waits for what comes, on the connection that may.
      const job = this.waitForOne();
      // What it fails of may be one job, and a taker that is given none loses its place.
      await job.catch(() => {});
      this.waiting.shift()?.(job);
    }
    if (this.inside.paused) this.giveUp();
  }

  /** False where no job waits. */
  private async take(): Promise<boolean> {
    const most = Math.min(this.waiting.length, STEP_JOBS_MAX);
    const keys = [WAITING, ACTIVE, JOBS];
    const taken = (await run(this.inside, scripts.take, keys, [most])) as string[];
    if (this.inside.paused && taken.length > 0) {
      // Nobody begins them here any more, and by themselves they would come back as suspects.
      const ids = taken.filter((_, at) => at % 2 === 0);
      await run(this.inside, scripts.untake, [WAITING, ACTIVE], ids);
      return true;
    }
    for (let at = 0; at < taken.length; at += 2) {
      this.waiting.shift()!(this.jobOf(taken[at]!, taken[at + 1]!));
    }
    return taken.length > 0;
  }

  private jobOf(id: string, json: string): Job | Promise<never> {
    try {
      return fromData(this.queue, id, json);
    } catch (error) {
      // No JSON: Bee-Queue tells of it, and leaves it where it is.
      return Promise.reject(error);
    }
  }

  private giveUp(): void {
    for (const give of this.waiting.splice(0)) give(null);
  }
}

function run(
  { client }: Inside,
  script: string,
  keys: string[],
  words: (string | number)[],
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const done: Callback = (error, reply) => (error === null ? resolve(reply) : reject(error));
    client.eval(script, keys.length, ...keys, ...words, done);
  });
}

/** Gathers the ids of one turn of the event loop, for one step with all of them. */
function inTurns(step: (ids: string[]) => Promise<unknown>): (id: string) => Promise<void> {
  let open: { ids: string[]; done: Promise<void> } | undefined;
  return (id) => {
    if (open === undefined || open.ids.length === STEP_JOBS_MAX) {
      const ids: string[] = [];
      const done = new Promise((resolve) => setImmediate(resolve)).then(async () => {
        if (open?.ids === ids) open = undefined;
        await step(ids);
      });
      open = { ids, done };
    }
    open.ids.push(id);
    return open.done;
  };
}
