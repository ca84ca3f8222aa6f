import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import type { Stack } from "../../src/core/ports.ts";
import { lastTick, Scheduler } from "../../src/worker/scheduler.ts";
import {
  describeStacks,
  freshPlace,
  type Place,
  type Running,
  start,
  testLog,
} from "../support/system.ts";

const NOW = new Date("2026-03-04T10:20:30.400Z");
const MISSED = new Date("2026-03-04T10:00:00.000Z");
const YEARLY = "0 0 1 1 *";
const hourly = {
  syncCron: "0 * * * *",
  repairCron: YEARLY,
  purgeCron: YEARLY,
  retentionCron: YEARLY,
  retentionDays: 0,
  now: () => NOW,
};

describe("the last tick", () => {
  it("is the last moment at which the line was due, in UTC", () => {
    expect(lastTick("0 * * * *", NOW)).to.deep.equal(MISSED);
    expect(lastTick("0 * * * *", MISSED)).to.deep.equal(MISSED);
    expect(lastTick("*/10 * * * * *", NOW)).to.deep.equal(new Date("2026-03-04T10:20:30.000Z"));
    expect(lastTick("0 0 1 1 *", NOW)).to.deep.equal(new Date("2026-01-01T00:00:00.000Z"));
  });
});

describeStacks("a scheduler that starts", (stack) => {
  let place: Place;
  let parley: Running;
  let schedulers: Scheduler[];
  let applicationToken: string;
  let syncs: number;

  beforeEach(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
    schedulers = [];
    syncs = 0;
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    applicationToken = application!.token;
    await parley.clients.createChat({ applicationToken, waitFor: State.STATE_PERSISTED });
  });
  afterEach(async () => {
    for (const one of schedulers ?? []) await one.stop();
    await parley?.stop();
    await place?.drop();
  });

  /** The stack, and a count of the syncs that begin on it. */
  function parts() {
    const { stack, core } = parley.system;
    const upkeep = Object.create(stack.upkeep) as Stack["upkeep"];
    upkeep.noteChoreRun = (run) => {
      if (run.name === "sync-counts") syncs++;
      return stack.upkeep.noteChoreRun(run);
    };
    return { ...stack, ...core, upkeep, log: testLog };
  }

  async function startMany(count: number, options: object = {}): Promise<void> {
    const made = Array.from({ length: count }, () => {
      return new Scheduler(parts(), { ...hourly, lookAgainMs: 50, ...options });
    });
    schedulers.push(...made);
    await Promise.all(made.map((one) => one.start()));
  }

  const beganAt = async () => {
    const runs = await parley.system.stack.upkeep.listChoreRuns();
    return runs.find((run) => run.name === "sync-counts")?.beganTime;
  };
  const chatsCount = async () =>
    (await parley.clients.getApplication({ applicationToken })).application!.chatsCount;

  async function until(what: () => Promise<boolean>): Promise<void> {
    const endMs = Date.now() + 10_000;
    while (!(await what())) {
      if (Date.now() > endMs) expect.fail("it did not come to be in time");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  const note = (text: string) =>
    parley.system.stack.upkeep.noteChoreRun({ name: "sync-counts", beganTime: new Date(text) });

  it("has missed nothing on a fresh system, and notes from when on it could have", async () => {
    await startMany(1);
    await until(async () => (await beganAt()) !== undefined);
    expect(await beganAt()).to.deep.equal(NOW);
    expect(await chatsCount()).to.equal(0);
  });

  it("makes up for a missed tick at once, and ten that start together do so once", async () => {
    await note("2026-03-04T07:59:59.000Z");
    await startMany(10);
    await until(async () => (await beganAt())?.getTime() === NOW.getTime());
    expect(await chatsCount()).to.equal(1);
    expect(syncs).to.equal(1);
  });

  it("makes up for nothing where a run began since the last tick", async () => {
    await note("2026-03-04T10:00:00.000Z");
    await startMany(2);
    for (const one of schedulers) await one.stop();
    expect(await beganAt()).to.deep.equal(MISSED);
    expect(await chatsCount()).to.equal(0);
  });

  it("waits for the lease of one that was killed, and no longer", async () => {
    await note("2026-03-04T07:59:59.000Z");
    const { lease } = parley.system.stack;
    const startMs = performance.now();
    expect(await lease.acquire(`sync-counts:${MISSED.toISOString()}`, 700)).to.equal(true);
    await startMany(2);
    await until(async () => (await chatsCount()) === 1);
    expect(performance.now() - startMs).to.be.above(690);
    await until(async () => syncs === 1);
  });

  it("has missed a tick that another one has failed at", async () => {
    await note("2026-03-04T07:59:59.000Z");
    const broken = parts();
    const intake = Object.create(broken.intake) as Stack["intake"];
    intake.changed = () => Promise.reject(new Error("cut"));
    const failing = new Scheduler({ ...broken, intake }, { ...hourly, leaseMs: 200 });
    await failing.start();
    await failing.stop();
    await startMany(1, { leaseMs: 200 });
    await until(async () => (await chatsCount()) === 1);
  });
});
