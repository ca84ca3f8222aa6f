import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type Queue from "bee-queue";
import { ACTIVE, JOBS, STALLING, WAITING } from "./keys.ts";

// Bee-Queue takes eight commands for each job, most of what a job costs both sides. Here its steps
// are taken for many jobs at once, over the very keys that its own steps use.

/** Jobs of one step: Lua takes some 8,000 arguments in one call. */
const STEP_JOBS_MAX = 1_000;

const read = (name: string) => readFileSync(new URL(`./${name}.lua`, import.meta.url), "utf8");
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
  const waitForOne = inside._waitForJob.bind(queue);
  const finishOne = inside._finishJob.bind(queue);
  const run = (script: string, keys: string[], words: (string | number)[]) =>
    new Promise<unknown>((resolve, reject) => {
      const done: Callback = (error, reply) => (error === null ? resolve(reply) : reject(error));
      inside.client.eval(script, keys.length, ...keys, ...words, done);
    });

  const finish = inTurns<string>((ids) => run(scripts.finish, [ACTIVE, STALLING, JOBS], ids));
  inside._finishJob = async (error, result, job) => {
    // What did not succeed is rare, and Bee-Queue's own: it knows when it is tried again.
    if (error || inside._isClosed) return finishOne(error, result, job);
    await finish(job.id);
    return ["succeeded", result];
  };
  inside._preventStall = inTurns<string>(
    (ids) =>
      new Promise((resolve, reject) => {
        inside.client.srem(STALLING, ids, (error) => (error === null ? resolve(0) : reject(error)));
      }),
  );

  const takers: ((job: Job | null | Promise<never>) => void)[] = [];
  let taking = false;
  const giveTaken = async () => {
    const most = Math.min(takers.length, STEP_JOBS_MAX);
    const taken = (await run(scripts.take, [WAITING, ACTIVE, JOBS], [most])) as string[];
    if (inside.paused && taken.length > 0) {
      // Nobody begins them here any more, and by themselves they would come back as suspects.
      const ids = taken.filter((_, at) => at % 2 === 0);
      await run(scripts.untake, [WAITING, ACTIVE], ids);
      return true;
    }
    for (let at = 0; at < taken.length; at += 2) takers.shift()!(jobOf(taken[at]!, taken[at + 1]!));
    return taken.length > 0;
  };
  const jobOf = (id: string, json: string): Job | Promise<never> => {
    try {
      return fromData(queue, id, json);
    } catch (error) {
      // No JSON: Bee-Queue tells of it, and leaves it where it is.
      return Promise.reject(error);
    }
  };
  const giveAll = async () => {
    while (takers.length > 0 && !inside.paused) {
      if (await giveTaken()) continue;
      // Nothing waits. One of the takers waits for what comes, on the connection that may.
      const job = await waitForOne();
      takers.shift()?.(job);
    }
    // Who takes nothing any more is told so, as Bee-Queue tells its own.
    if (inside.paused) for (const give of takers.splice(0)) give(null);
  };
  const begin = () => {
    if (taking) return;
    taking = true;
    setImmediate(() => {
      giveAll()
        .catch((error: unknown) => {
          queue.emit("error", error as Error);
          for (const give of takers.splice(0)) give(null);
        })
        .finally(() => {
          taking = false;
          if (takers.length > 0) begin();
        });
    });
  };
  inside._waitForJob = () =>
    new Promise((resolve) => {
      takers.push(resolve);
      begin();
    });
}

/** Gathers what comes in one turn of the event loop, for one step with all of it. */
function inTurns<T>(step: (items: T[]) => Promise<unknown>): (item: T) => Promise<void> {
  let open: { items: T[]; done: Promise<void> } | undefined;
  return (item) => {
    if (open === undefined || open.items.length === STEP_JOBS_MAX) {
      const items: T[] = [];
      const done = new Promise((resolve) => setImmediate(resolve)).then(async () => {
        if (open?.items === items) open = undefined;
        await step(items);
      });
      open = { items, done };
    }
    open.items.push(item);
    return open.done;
  };
}
