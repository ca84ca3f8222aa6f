import { expect } from "chai";
import { Redis } from "ioredis";
import { State } from "../../clients/typescript/src/contract.ts";
import type { Core } from "../../src/core/core.ts";
import { deleteWhole } from "../../src/core/deletion.ts";
import { PURGE_AGAIN_MS } from "../../src/core/limits.ts";
import type { Counter, Stack } from "../../src/core/ports.ts";
import { ParleyError } from "../../src/errors.ts";
import { purge } from "../../src/worker/purge.ts";
import { indexed, residueOf, settleIndex } from "../support/residue.ts";
import {
  describeStacks,
  freshPlace,
  type Place,
  type Running,
  refusalOf,
  start,
} from "../support/system.ts";

/** Thrown in place of a step, as if the process had died before it. */
class Died extends Error {}

/** The parts of a stack, of which no step is done any more after some. */
function mortal(stack: Stack, steps: number): { parts: Stack; left: () => number } {
  let left = steps;
  const part = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(_, name) {
        const value = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return async (...values: unknown[]) => {
          if (left-- <= 0) throw new Died();
          return value.apply(target, values);
        };
      },
    });
  const { intake, queue, store, ledger, deletions, index } = stack;
  const parts = { intake, queue, store, ledger, deletions, index };
  const wrapped = Object.fromEntries(Object.entries(parts).map(([name, one]) => [name, part(one)]));
  return { parts: { ...stack, ...wrapped }, left: () => left };
}

describeStacks("a deletion that is cut", (stack) => {
  let place: Place;
  let parley: Running;
  let applicationToken: string;
  let key: { applicationToken: string; chatNumber: number };

  before(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
  });

  async function fill(): Promise<void> {
    const { clients } = parley;
    const answer = await clients.createApplication({ application: { name: "cut" } });
    applicationToken = answer.application!.token;
    key = { applicationToken, chatNumber: 1 };
    const waitFor = State.STATE_PERSISTED;
    await clients.createChat({ applicationToken, waitFor });
    for (const body of ["one", "two"]) {
      await clients.createMessage({ ...key, message: { body }, waitFor });
    }
    await indexed(parley, key, 2);
  }

  const reasonOf = async (call: Promise<unknown>) => (await refusalOf(call)).reason;
  const coreOf = (parts: Stack): Core => ({ ...parley.system.core, ...parts });
  const step = { known: true, force: true, now: new Date() };
  const say = () => parley.clients.createMessage({ ...key, message: { body: "more" } });
  const repeat = (counter: Counter) =>
    counter.chatNumber === undefined
      ? parley.clients.deleteApplication({ applicationToken, force: true })
      : parley.clients.deleteChat({ applicationToken, number: 1, force: true });

  async function purgeTwice(): Promise<void> {
    const now = Date.now() + 60_000;
    for (const date of [now, now + 2 * PURGE_AGAIN_MS]) {
      await purge(parley.system.stack, new Date(date));
      await settleIndex(parley);
    }
  }

  /** Nothing of it is left; `others` says that its application has another chat. */
  async function expectGone(counter: Counter, others = false): Promise<void> {
    const whole = counter.chatNumber === undefined;
    const gone = whole ? "APPLICATION_NOT_FOUND" : "CHAT_NOT_FOUND";
    expect(await reasonOf(say())).to.equal(gone);
    expect(await reasonOf(parley.clients.listMessages(key))).to.equal(gone);
    expect(await reasonOf(repeat(counter))).to.equal(whole ? gone : "NUMBER_VOID");
    const left = await residueOf(parley, applicationToken);
    expect(left).to.not.have.any.keys("deletions", "search_gaps");
    if (!others) expect(left).to.not.have.any.keys("messages", "chats", "jobs");
    if (whole) expect(left).to.deep.equal({});
    expect(await parley.system.stack.index.extent(key)).to.deep.equal({ count: 0, lastNumber: 0 });
  }

  const kinds: [string, () => Counter][] = [
    ["a chat", () => key],
    ["an application", () => ({ applicationToken })],
  ];
  for (const [what, counterOf] of kinds) {
    it(`between any two of its steps goes on when it is asked for again: ${what}`, async () => {
      for (let steps = 0; ; steps++) {
        await fill();
        const counter = counterOf();
        const { parts } = mortal(parley.system.stack, steps);
        const died = await deleteWhole(coreOf(parts), counter, step).catch((error) => error);
        if (died === true) break;
        expect(died).to.be.instanceOf(Died);
        await repeat(counter);
        await purgeTwice();
        await expectGone(counter);
        expect(steps).to.be.below(20);
      }
    });

    it(`after it was decided is ended by the purge alone: ${what}`, async () => {
      for (const steps of [1, 2]) {
        await fill();
        const counter = counterOf();
        const { parts } = mortal(parley.system.stack, steps);
        await deleteWhole(coreOf(parts), counter, step).catch(() => {});
        await purgeTwice();
        await expectGone(counter);
      }
    });

    it(`may be purged by processes that die at any step: ${what}`, async () => {
      for (let steps = 0; ; steps++) {
        await fill();
        const counter = counterOf();
        await repeat(counter);
        const first = mortal(parley.system.stack, steps);
        const now = Date.now() + 60_000;
        await settleIndex(parley);
        await purge(first.parts, new Date(now)).catch((error) => {
          if (!(error instanceof Died)) throw error;
        });
        const second = mortal(parley.system.stack, steps);
        await purge(second.parts, new Date(now + PURGE_AGAIN_MS)).catch((error) => {
          if (!(error instanceof Died)) throw error;
        });
        await purgeTwice();
        await expectGone(counter);
        if (first.left() > 0) break;
        expect(steps).to.be.below(40);
      }
    });
  }

  it("loses nothing that was given, where it was to be of an empty chat alone", async () => {
    for (let steps = 0; ; steps++) {
      const { clients } = parley;
      const answer = await clients.createApplication({ application: { name: "cut" } });
      applicationToken = answer.application!.token;
      key = { applicationToken, chatNumber: 1 };
      await clients.createChat({ applicationToken, waitFor: State.STATE_PERSISTED });
      const { parts } = mortal(parley.system.stack, steps);
      const careful = { ...step, force: false };
      const died = await deleteWhole(coreOf(parts), key, careful).catch((error) => error);
      if (died === true) break;
      expect(died).to.be.instanceOf(Died);
      const said = await say().catch(async (error) => reasonOf(Promise.reject(error)));
      if (said === "CHAT_NOT_FOUND") continue;
      const { messages } = await clients.listMessages(key);
      expect(messages.map((one) => one.body)).to.deep.equal(["more"]);
      const empty = clients.deleteChat({ applicationToken, number: 1 });
      expect(await reasonOf(empty)).to.equal("NOT_EMPTY");
    }
  });

  it("by an intake that is away says so, and goes on when it is back", async () => {
    await fill();
    const { stack: real } = parley.system;
    const away = async () => {
      throw new ParleyError("COUNTERS_UNAVAILABLE", "away");
    };
    const intake = new Proxy(real.intake, {
      get: (target, name) => (name === "remove" ? away : Reflect.get(target, name)?.bind?.(target)),
    });
    const parts = { ...real, intake };
    const error = await deleteWhole(coreOf(parts), key, step).catch((one) => one);
    expect(error).to.deep.include({ code: "UNAVAILABLE", reason: "COUNTERS_UNAVAILABLE" });
    expect(error.retryMs).to.be.above(0);
    const failed = await purge(parts, new Date(Date.now() + 1_000)).catch((one) => one);
    expect(failed.reason).to.equal("COUNTERS_UNAVAILABLE");
    await repeat(key);
    await purgeTwice();
    await expectGone(key);
  });

  if (stack === "embedded") return;

  it("is not undone by a Redis that was emptied", async () => {
    await fill();
    await repeat(key);
    const redis = new Redis(place.env.PARLEY_REDIS_URL!);
    await redis.flushdb();
    redis.disconnect();
    expect(await reasonOf(say())).to.equal("CHAT_NOT_FOUND");
    const { chat } = await parley.clients.createChat({ applicationToken });
    expect(chat!.number).to.be.above(1);
    await purgeTwice();
    await expectGone(key, true);
  });

  it("is not undone by a Redis that has an older copy of the counters", async () => {
    await fill();
    const redis = new Redis(place.env.PARLEY_REDIS_URL!);
    const names = await redis.keys("*");
    const copies = await Promise.all(names.map((name) => redis.dumpBuffer(name)));
    const other = { applicationToken, chatNumber: 2 };
    await parley.clients.createChat({ applicationToken, waitFor: State.STATE_PERSISTED });
    await repeat(key);
    await redis.flushdb();
    await Promise.all(names.map((name, at) => redis.restore(name, 0, copies[at]!)));
    expect(await redis.exists(`APP-${applicationToken}-1`)).to.equal(1);
    redis.disconnect();
    expect(await reasonOf(say())).to.equal("CHAT_NOT_FOUND");
    await parley.clients.createMessage({ ...other, message: { body: "lives" } });
    await purgeTwice();
    await expectGone(key, true);
  });
});
