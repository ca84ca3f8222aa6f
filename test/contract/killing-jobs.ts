import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { jobIdOf } from "../../src/core/jobs.ts";
import { JOB_TRIES_MAX } from "../../src/core/limits.ts";
import { ParleyError } from "../../src/errors.ts";
import { newChat, Trusted } from "./intakes.ts";
import { present, until } from "./job-queue.ts";
import { numbersFrom } from "./jobs.ts";
import { type FreshPlace, openQueue, type Place } from "./queues.ts";

const STALL_MS = 700;
const program = fileURLToPath(new URL("killer.ts", import.meta.url));

/** Runs a worker that these jobs kill to its end; says whether it was killed, and what it said. */
export function runKiller(
  { stack, at }: Place,
  ids: string[],
): Promise<{ killed: boolean; said: string }> {
  return new Promise((resolve) => {
    const words = [program, stack, at, String(STALL_MS), ids.join(",")];
    const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    child.stdout.on("data", (chunk) => {
      said += String(chunk);
    });
    child.on("close", (_, signal) => resolve({ killed: signal === "SIGKILL", said }));
  });
}

/** What every JobQueue does about jobs that end the process that they are in work in. */
export function killingJobsContract(
  name: string,
  fresh: () => Promise<FreshPlace>,
  missing?: string,
): void {
  const suite = missing === undefined ? describe : describe.skip;
  suite(`jobs that kill: ${name}`, () => {
    let place: FreshPlace;
    const chat = newChat();
    const idOf = (number: number) => jobIdOf({ ...chat, number });

    /** As a process of its own, which is gone afterwards. */
    const use = async <T>(work: (opened: ReturnType<typeof openQueue>) => Promise<T>) => {
      const opened = openQueue({ stack: place.stack, at: place.at, stallMs: STALL_MS });
      try {
        return await work(opened);
      } finally {
        await opened.queue.stop(100);
        opened.close();
      }
    };
    /** Starts workers as a supervisor does until one ends by itself; says how many were killed. */
    const supervise = async (ids: string[]) => {
      for (let kills = 0; ; kills++) {
        const { killed, said } = await runKiller(place, ids);
        expect(said).to.equal("");
        if (!killed) return kills;
        expect(kills).to.be.lessThan(50);
      }
    };

    beforeEach(async () => {
      place = await fresh();
      await use(async ({ intake }) => {
        const trusted = await new Trusted(intake).begin();
        await trusted.seed(chat);
        await Promise.all(numbersFrom(1, 300).map(() => trusted.take(chat)));
      });
    });
    afterEach(() => place?.drop());

    it("are parked after their tries alone; all others are done, none blamed", async function () {
      this.timeout(90_000);
      const killers = [idOf(7), idOf(150)];
      const kills = await supervise(killers);
      // Once each with whatever else there was, or with other suspects, and then alone.
      expect(kills).to.be.within(killers.length * JOB_TRIES_MAX + 1, killers.length * 6);
      await use(async ({ intake, queue }) => {
        expect((await intake.backlog()).jobs).to.equal(killers.length);
        const parked = await queue.listParked(10);
        expect(parked.map(({ id }) => id)).to.have.members(killers);
        for (const one of parked) {
          expect(one).to.include({ place: "parked", stalls: JOB_TRIES_MAX });
          expect(one.error).to.equal("its worker ended while it ran alone, 4 times");
        }
        // Put back, it is known for what it is.
        expect(await queue.requeue(killers[0]!)).to.equal(true);
        expect(await queue.find(killers[0]!)).to.include({ place: "suspect", stalls: 0 });
      });
      expect(await supervise([])).to.equal(0);
      await use(async ({ intake, queue }) => {
        expect(await queue.find(killers[0]!)).to.equal(undefined);
        expect(await queue.drop(killers[1]!)).to.equal(true);
        expect(await queue.drop(killers[1]!)).to.equal(false);
        expect((await intake.backlog()).jobs).to.equal(0);
      });
    });

    it("are told from those that fail, or meet with a part that is away", async function () {
      this.timeout(30_000);
      const failing = idOf(40);
      const { killed } = await runKiller(place, [failing]);
      expect(killed).to.equal(true);
      await use(async ({ intake, queue }) => {
        const tries = new Map<string, boolean[]>();
        queue.process(100, async ({ id, suspect }) => {
          const before = tries.get(id) ?? [];
          tries.set(id, [...before, suspect]);
          if (suspect && before.length === 0) {
            throw new ParleyError("STORE_UNAVAILABLE", "away for a while");
          }
          if (id === failing) throw new Error("always");
        });
        const [parked] = await until(() => queue.listParked(10), 1);
        expect(parked).to.include({ id: failing, tries: JOB_TRIES_MAX, stalls: 0 });
        expect(parked!.error).to.equal("Error: always");
        await until(() => intake.find(numbersFrom(1, 300).map(idOf)).then(present), 1);
        // It was in work when its worker ended; that a part was away was no try.
        expect(tries.get(failing)).to.deep.equal([true, true, false, false, false]);
      });
    });
  });
}
