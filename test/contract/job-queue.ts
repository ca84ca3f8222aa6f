import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import type { Delivery } from "../../src/core/job-queue.ts";
import { decodeJob, jobIdOf } from "../../src/core/jobs.ts";
import { JOB_BACKOFF_MS, JOB_TRIES_MAX } from "../../src/core/limits.ts";
import { newChat, Trusted } from "./intakes.ts";
import { numbersFrom } from "./jobs.ts";
import { type FreshPlace, type Opened, openQueue } from "./queues.ts";

const HOUR_MS = 3_600_000;

/** What every JobQueue does. `fresh` makes an empty place; `missing` says why there is none. */
export function jobQueueContract(
  name: string,
  fresh: () => Promise<FreshPlace>,
  missing?: string,
): void {
  const suite = missing === undefined ? describe : describe.skip;
  suite(`job queue: ${name}`, () => {
    let place: FreshPlace;
    let opened: Opened;
    let trusted: Trusted;
    const chat = newChat();
    const idOf = (number: number) => jobIdOf({ ...chat, number });

    beforeEach(async () => {
      place = await fresh();
    });
    const open = async () => {
      opened = openQueue(place);
      trusted = await new Trusted(opened.intake).begin();
      await trusted.seed(chat);
      return opened.queue;
    };
    afterEach(async () => {
      await opened?.queue.stop(100);
      opened?.close();
      await place?.drop();
    });

    it("hands out what was accepted before and after it started, each job as written", async () => {
      const queue = await open();
      await trusted.take(chat, { body: 'first "one"' });
      const seen = new Seen();
      queue.process(10, seen.handle);
      await seen.all([idOf(1)]);
      await trusted.take(chat, { body: "second" });
      await seen.all([idOf(1), idOf(2)]);
      const bodies = seen.deliveries.map(({ data }) => decodeJob(data));
      expect(bodies.map((job) => job.kind === "message" && job.body)).to.deep.equal([
        'first "one"',
        "second",
      ]);
    });

    it("ends a job that was handled, and it is gone", async () => {
      const queue = await open();
      for (let at = 0; at < 20; at++) await trusted.take(chat);
      const seen = new Seen();
      queue.process(10, seen.handle);
      await seen.all(numbersFrom(1, 20).map(idOf));
      await queue.stop(1_000);
      expect(await opened.intake.backlog()).to.deep.equal({ jobs: 0, requestIds: 0 });
      expect(await opened.intake.find([idOf(1), idOf(20)])).to.deep.equal([undefined, undefined]);
      expect(seen.deliveries).to.have.length(20);
    });

    it("has as many in work as it was told, and no more", async () => {
      const queue = await open();
      for (let at = 0; at < 40; at++) await trusted.take(chat);
      let inWork = 0;
      let most = 0;
      const seen = new Seen(async () => {
        most = Math.max(most, ++inWork);
        await new Promise((resolve) => setTimeout(resolve, 20));
        inWork--;
      });
      queue.process(7, seen.handle);
      await seen.all(numbersFrom(1, 40).map(idOf));
      expect(most).to.equal(7);
    });

    it("tries a job again after pauses that double, and parks it until it is dropped", async () => {
      const queue = await open();
      const bad = await trusted.take(chat);
      const tries: number[] = [];
      const seen = new Seen(async ({ id }) => {
        if (id !== idOf(bad)) return;
        tries.push(performance.now());
        throw new Error(`try ${tries.length} failed`);
      });
      queue.process(1, seen.handle);
      for (let at = 0; at < 20; at++) await trusted.take(chat);
      await seen.all(numbersFrom(2, 21).map(idOf));
      expect(tries.length).to.be.lessThan(JOB_TRIES_MAX);
      const parked = await until(() => queue.listParked(10), 1);
      expect(parked[0]).to.include({ id: idOf(bad), error: "Error: try 4 failed" });
      expect(decodeJob(parked[0]!.data).number).to.equal(bad);
      expect(tries).to.have.length(JOB_TRIES_MAX);
      const pauses = tries.slice(1).map((ms, at) => ms - tries[at]!);
      pauses.forEach((pause, at) => {
        expect(pause).to.be.within(JOB_BACKOFF_MS * 2 ** at - 5, JOB_BACKOFF_MS * 2 ** at + 1_500);
      });
      const [found] = await opened.intake.find([idOf(bad)]);
      expect(found).to.deep.include({ parked: true });
      expect((await opened.intake.backlog()).jobs).to.equal(1);

      expect(await queue.dropParked(async () => [])).to.equal(0);
      const waiting = await trusted.take(chat);
      const picked = await queue.dropParked(async (ids) => [...ids, idOf(waiting), idOf(99)]);
      expect(picked).to.equal(1);
      expect(await queue.listParked(10)).to.deep.equal([]);
      expect(await opened.intake.find([idOf(bad)])).to.deep.equal([undefined]);
      await seen.all([idOf(waiting)]);
      await until(() => opened.intake.find([idOf(waiting)]).then(present), 0);
      expect((await opened.intake.backlog()).jobs).to.equal(0);
    });

    it("lists parked jobs oldest first, and puts them back once with all their tries", async () => {
      const queue = await open();
      const now = Date.now();
      expect(await queue.oldestMs()).to.equal(undefined);
      // The last two within one millisecond: then the order of their numbers tells.
      for (const hours of [2, 4, 1, 3, 3])
        await trusted.take(chat, { createMs: now - hours * HOUR_MS });
      expect(await queue.oldestMs()).to.equal(now - 2 * HOUR_MS);
      let broken = true;
      const seen = new Seen(async () => {
        if (broken) throw new Error("out of order\nsecond line");
      });
      queue.process(10, seen.handle);
      const parked = await until(() => queue.listParked(10), 5);
      expect(await queue.oldestMs()).to.equal(undefined);
      expect(parked.map(({ id }) => id)).to.deep.equal([2, 4, 5, 1, 3].map(idOf));
      expect((await queue.listParked(2)).map(({ id }) => id)).to.deep.equal([2, 4].map(idOf));
      expect(parked[0]!.error).to.contain("out of order");

      expect(await queue.requeue(idOf(99))).to.equal(false);
      const before = seen.deliveries.length;
      const twice = await Promise.all([queue.requeue(idOf(2)), queue.requeue(idOf(2))]);
      expect(twice.sort()).to.deep.equal([false, true]);
      await until(() => queue.listParked(10), 5);
      expect(seen.deliveries.length - before).to.equal(JOB_TRIES_MAX);

      broken = false;
      const all = [1, 2, 3, 4, 5];
      for (const number of all) expect(await queue.requeue(idOf(number))).to.equal(true);
      await until(() => opened.intake.find(all.map(idOf)).then(present), 0);
      expect(await queue.listParked(10)).to.deep.equal([]);
      expect(await queue.requeue(idOf(1))).to.equal(false);
    });

    it("waits at its end for the job in work, and takes no other", async () => {
      const queue = await open();
      await trusted.take(chat);
      await trusted.take(chat);
      const started = new Signal();
      const go = new Signal();
      const seen = new Seen(async () => {
        started.give();
        await go.given;
      });
      queue.process(1, seen.handle);
      await started.given;
      let stopped = false;
      const stop = queue.stop(5_000).then(() => {
        stopped = true;
      });
      await new Promise(setImmediate);
      expect(stopped).to.equal(false);
      go.give();
      await stop;
      expect(seen.deliveries.map(({ id }) => id)).to.deep.equal([idOf(1)]);
      const left = await opened.intake.find([idOf(1), idOf(2)]);
      expect(left.map((one) => one?.job.number)).to.deep.equal([undefined, 2]);
    });

    it("ends in time though a job does not", async () => {
      const queue = await open();
      await trusted.take(chat);
      const started = new Signal();
      queue.process(1, async () => {
        started.give();
        await new Promise(() => {});
      });
      await started.given;
      const startMs = performance.now();
      await queue.stop(300);
      expect(performance.now() - startMs).to.be.within(250, 1_500);
      expect(await opened.intake.find([idOf(1)]).then(present)).to.have.length(1);
    });

    it("hands out again within 30 s what a killed process had in work", async function () {
      this.timeout(45_000);
      const program = fileURLToPath(new URL("victim.ts", import.meta.url));
      const victim = spawn(process.execPath, [program, place.stack, place.at, "3"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const [line] = await once(victim.stdout, "data");
      const ids = JSON.parse(String(line)) as string[];
      const exit = once(victim, "exit");
      victim.kill("SIGKILL");
      await exit;
      const startMs = performance.now();
      const queue = await open();
      const seen = new Seen();
      queue.process(10, seen.handle);
      await seen.all(ids);
      expect(performance.now() - startMs).to.be.lessThan(30_000);
    });
  });
}

/** Notes what is handed out, and lets a test wait for it. */
export class Seen {
  readonly deliveries: Delivery[] = [];
  private readonly work: (delivery: Delivery) => Promise<void>;
  private readonly handled = new Set<string>();
  private changed = new Signal();

  constructor(work: (delivery: Delivery) => Promise<void> = async () => {}) {
    this.work = work;
  }

  readonly handle = async (delivery: Delivery): Promise<void> => {
    this.deliveries.push(delivery);
    await this.work(delivery);
    this.handled.add(delivery.id);
    this.changed.give();
    this.changed = new Signal();
  };

  /** Waits until all of these were handled. */
  async all(ids: string[]): Promise<void> {
    while (!ids.every((id) => this.handled.has(id))) await this.changed.given;
  }
}

export class Signal {
  readonly given: Promise<void>;
  give: () => void = () => {};

  constructor() {
    this.given = new Promise((resolve) => {
      this.give = resolve;
    });
  }
}

/** Asks until the list is as long as that. */
export async function until<T>(ask: () => Promise<T[]>, length: number): Promise<T[]> {
  for (;;) {
    const list = await ask();
    if (list.length === length) return list;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function present<T>(list: (T | undefined)[]): T[] {
  return list.filter((one) => one !== undefined);
}
