import { cpSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { Redis } from "ioredis";
import { State } from "../../clients/typescript/src/contract.ts";
import { toConfig } from "../../src/config.ts";
import { openSystem } from "../../src/system.ts";
import { runCommand } from "../support/command.ts";
import {
  describeStacks,
  freshPlace,
  type Place,
  type Running,
  start,
  testLog,
} from "../support/system.ts";

describeStacks("epoch new", (stack) => {
  let place: Place;
  let parley: Running | undefined;
  let key: { applicationToken: string; chatNumber: number };

  beforeEach(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    key = { applicationToken: application!.token, chatNumber: 1 };
    const { applicationToken } = key;
    await parley.clients.createChat({ applicationToken, waitFor: State.STATE_PERSISTED });
  });
  afterEach(async () => {
    await parley?.stop();
    await place?.drop();
  });

  /** Numbers as an API process gives them that dies before it notes what it saw; no worker runs. */
  async function accept(count: number): Promise<number[]> {
    const { core, stack } = await openSystem(toConfig(place.env), [], testLog);
    const numbers: number[] = [];
    try {
      for (let at = 0; at < count; at++) {
        const content = { body: "x", author: "", createMs: 1, requestId: undefined };
        const draft = { kind: "message", ...key, ...content } as const;
        const given = await core.numbering.accept(draft, undefined, new AbortController());
        numbers.push(given!.number);
      }
    } finally {
      await stack.stop();
    }
    return numbers;
  }

  /** Takes a copy of what holds the counters, and returns what brings it back. */
  async function copy(): Promise<() => Promise<void>> {
    if (stack === "embedded") {
      const folder = place.env.PARLEY_DATA_DIR!;
      const kept = join(folder, "kept");
      const files = () => readdirSync(folder).filter((name) => name.startsWith("intake.db"));
      for (const name of files()) cpSync(join(folder, name), join(kept, name));
      return async () => {
        for (const name of files()) rmSync(join(folder, name));
        for (const name of readdirSync(kept)) cpSync(join(kept, name), join(folder, name));
      };
    }
    const redis = new Redis(place.env.PARLEY_REDIS_URL!);
    const names = await redis.keys("*");
    const dumps = await Promise.all(names.map((name) => redis.dumpBuffer(name)));
    return async () => {
      await redis.flushdb();
      for (const [at, name] of names.entries()) await redis.restore(name, 0, dumps[at]!);
      redis.disconnect();
    };
  }

  it("keeps numbers from coming twice after an older copy came back", async () => {
    await parley!.stop();
    parley = undefined;
    const given = await accept(3);
    const restore = await copy();
    given.push(...(await accept(2)));
    await restore();

    const ran = await runCommand(place.env, "epoch", "new", "--yes");
    expect(ran, ran.stderr).to.include({ code: 0 });
    expect(ran.stdout).to.match(/^epoch 2 has begun, after epoch 1\n/);
    given.push(...(await accept(2)));
    expect(given.slice(0, 5)).to.deep.equal([1, 2, 3, 4, 5]);
    expect(given.slice(5)).to.deep.equal([65, 66]);

    parley = await start(place);
    const wait = { ...key, message: { body: "y" }, waitFor: State.STATE_PERSISTED };
    expect((await parley.clients.createMessage(wait)).message!.number).to.equal(67);
    const { messages, voids } = await parley.clients.listMessages({ ...key, pageSize: 1_000 });
    const numbers = messages.map((one) => one.number);
    expect(numbers).to.deep.equal([1, 2, 3, 65, 66, 67]);
    expect(voids).to.deep.equal([{ firstNumber: 4, lastNumber: 64 }]);
  });

  it("leaves running processes to go on in it, however often", async () => {
    const say = async () =>
      (await parley!.clients.createMessage({ ...key, message: { body: "x" } })).message!.number;
    const numbers = [await say()];
    for (const _ of [1, 2]) {
      expect(await runCommand(place.env, "epoch", "new", "--yes")).to.include({ code: 0 });
      numbers.push(await say(), await say());
    }
    expect(new Set(numbers).size).to.equal(5);
    expect(await parley!.system.stack.ledger.get()).to.include({ epoch: 3, pending: false });
  });

  it("gives no number twice while epochs begin under calls", async () => {
    const { core } = parley!.system;
    const say = async () =>
      (await parley!.clients.createMessage({ ...key, message: { body: "x" } })).message!.number;
    const numbers: number[] = [];
    const speak = async () => {
      for (let at = 0; at < 30; at++) numbers.push(await say());
    };
    const renew = async () => {
      for (let at = 0; at < 3; at++) await core.numbering.epochs.renew();
    };
    await Promise.all([speak(), speak(), renew(), speak(), renew()]);
    expect(new Set(numbers).size).to.equal(90);
    expect(await parley!.system.stack.ledger.get()).to.include({ pending: false });
  });

  it("takes one that was begun and never installed, and is not begun without --yes", async () => {
    const { ledger } = parley!.system.stack;
    await ledger.begin({ after: 1, runId: "x" });
    const asked = await runCommand(place.env, "epoch", "new");
    expect(asked.code).to.equal(2);
    expect(asked.stderr).to.include("yes");
    expect(await ledger.get()).to.include({ epoch: 2, pending: true });
    expect(await runCommand(place.env, "epoch", "new", "--yes")).to.include({ code: 0 });
    expect(await ledger.get()).to.include({ epoch: 2, pending: false });
  });
});
