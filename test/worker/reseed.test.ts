import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import { jobIdOf, type MessageJob } from "../../src/core/jobs.ts";
import { Numbering } from "../../src/core/numbering.ts";
import type { Counter } from "../../src/core/ports.ts";
import { Reseeding } from "../../src/worker/reseed.ts";
import { newApplication } from "../contract/jobs.ts";
import {
  describeStacks,
  freshPlace,
  type Place,
  type Running,
  refusalOf,
  start,
} from "../support/system.ts";

describeStacks("counters that a chore seeds while they are used", (stack) => {
  let place: Place;
  let parley: Running;
  let key: { applicationToken: string; chatNumber: number };

  beforeEach(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    const applicationToken = application!.token;
    await parley.clients.createChat({ applicationToken, waitFor: State.STATE_PERSISTED });
    key = { applicationToken, chatNumber: 1 };
    await say("first", State.STATE_PERSISTED);
  });
  afterEach(async () => {
    await parley?.stop();
    await place?.drop();
  });

  const say = async (body: string, waitFor: State = State.STATE_ACCEPTED) =>
    (await parley.clients.createMessage({ ...key, message: { body }, waitFor })).message!.number;
  const renew = () => parley.system.core.numbering.epochs.renew();

  /** Nothing is stored from here on, as where the database is slow or the workers are busy. */
  async function stopWorkers(): Promise<void> {
    for (const one of [...parley.system.processes].reverse()) {
      if (one !== parley.system.api) await one.stop();
    }
  }

  /** What the chore does with a counter that it listed before somebody used it. */
  async function reseedLate(): Promise<number> {
    await renew();
    const { ledger } = parley.system.stack;
    const listed = (await ledger.listUnseeded(1_000)).map(({ position: _, ...one }) => one);
    expect(listed).to.deep.include(key);
    const given = await say("given");
    await say("given too");
    for (const counter of listed) await parley.system.core.numbering.reseed(counter);
    return given;
  }

  it("have no void above what was given", async () => {
    await stopWorkers();
    const given = await reseedLate();
    const next = { ...key, number: given + 2 };
    const refusal = await refusalOf(parley.clients.getMessage(next));
    expect(await say("next")).to.equal(next.number);
    expect(refusal.reason).to.equal("MESSAGE_NOT_FOUND");
  });

  it("leave none out where the scheduler still trusts the epoch before", async () => {
    const { numbering } = parley.system.core;
    const { ledger } = parley.system.stack;
    await numbering.check();
    await renew();
    await new Reseeding({ ledger, numbering }).run();
    expect(await ledger.listUnseeded(1_000)).to.deep.equal([]);
  });

  it("hide no message from a list", async () => {
    // A few losses, as a system has them that lives long.
    for (let times = 0; times < 5; times++) {
      await renew();
      await say("again", State.STATE_PERSISTED);
    }
    await stopWorkers();
    const given = await reseedLate();
    const list = await parley.clients.listMessages({ ...key, pageSize: 1_000 });
    expect(list.nextPageToken).to.equal("");
    expect(list.messages.map((one) => one.number)).to.include(given);
  });

  it("hide no message from a list that waits when they are seeded again", async () => {
    for (let times = 0; times < 5; times++) {
      await renew();
      await say("again", State.STATE_PERSISTED);
    }
    await stopWorkers();
    const given = await say("waits");
    // As an operator says when a copy of Redis was put back; the job is still in it.
    await renew();
    await say("seeds it");
    const list = await parley.clients.listMessages({ ...key, pageSize: 1_000 });
    expect(list.messages.map((one) => one.number)).to.include(given);
  });

  it("say of no message that is not searchable that it is", async () => {
    await stopWorkers();
    const given = await reseedLate();
    // The second of them is stored first, as two workers may do it.
    const { intake, store, index } = parley.system.stack;
    const ids = [given + 1].map((number) => jobIdOf({ ...key, number }));
    const [found] = await intake.find(ids);
    const job = found!.job as MessageJob;
    await store.insertJobs([job]);
    await index.index([{ ...job, version: 1 }]);
    const rows = await store.findMessages(key, [1]);
    await index.index(rows.map((row) => ({ ...row, version: 1 })));
    const through = async () =>
      (await parley.clients.searchMessages({ ...key, query: "given" })).indexedThroughNumber;
    for (let looks = 0; looks < 20; looks++) {
      expect(await through()).to.be.below(given);
      await sleep(100);
    }
  });

  it("are asked for once in a tick where their chat was lost", async () => {
    // As after an emptied Redis that held a chat which no worker had stored yet.
    await parley.system.stack.ledger.grant({
      counter: { ...key, chatNumber: 2 },
      epoch: (await parley.system.stack.ledger.get()).epoch,
      known: true,
    });
    await renew();
    const { ledger } = parley.system.stack;
    const { numbering } = parley.system.core;
    let asked = 0;
    const reseed = (counter: Counter) => {
      if (++asked > 100) throw new Error("asked again and again");
      return numbering.reseed(counter);
    };
    await new Reseeding({ ledger, numbering: { reseed } as Numbering }).run();
    expect(asked).to.equal(3);
  });

  it("of which some belong to no chat do not keep the others from it", async function () {
    this.timeout(120_000);
    const { ledger, store } = parley.system.stack;
    const { epoch } = await ledger.get();
    const chats = Array.from({ length: 1_000 }, (_, at) => at + 2);
    for (const chatNumber of chats) {
      await ledger.grant({ counter: { ...key, chatNumber }, epoch, known: true });
    }
    const other = newApplication();
    await store.insertApplication(other);
    await ledger.grant({ counter: { applicationToken: other.token }, epoch, known: true });
    await renew();
    const { numbering } = parley.system.core;
    await new Reseeding({ ledger, numbering }).run();
    const [value] = await parley.system.stack.intake.counts([{ applicationToken: other.token }]);
    expect(value).to.equal(64);
  });
});

describeStacks("a counter that is read", (stack) => {
  let place: Place;
  let parley: Running;

  before(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
  });

  it("skips no number because the connection was lost meanwhile", async () => {
    const { intake, ledger, store } = parley.system.stack;
    const application = newApplication();
    await store.insertApplication(application);
    let cuts = 1;
    // What an intake says whose connection is another than the one that was trusted.
    const cut = new Proxy(intake, {
      get: (target, name) => {
        const method = Reflect.get(target, name);
        if (name === "grant" && cuts-- > 0) return async () => false;
        return typeof method === "function" ? method.bind(target) : method;
      },
    });
    const { epochs } = parley.system.core.numbering;
    const numbering = new Numbering({ intake: cut, ledger, epochs });
    expect(await numbering.value({ applicationToken: application.token })).to.equal(0);
  });
});
