import { rmSync } from "node:fs";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import { Redis } from "ioredis";
import { type Message, State } from "../../clients/typescript/src/contract.ts";
import {
  describeStacks,
  freshPlace,
  type Place,
  type Running,
  refusalOf,
  start,
} from "../support/system.ts";

describeStacks("counters that were lost", (stack) => {
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
  });
  afterEach(async () => {
    await parley?.stop();
    await place?.drop();
  });

  /** Redis is emptied under the running system; the embedded file is gone at the next start. */
  async function lose(): Promise<void> {
    if (stack === "production") {
      const redis = new Redis(place.env.PARLEY_REDIS_URL!);
      await redis.flushdb();
      redis.disconnect();
      return;
    }
    await parley.stop();
    for (const end of ["", "-wal", "-shm"]) {
      rmSync(join(place.env.PARLEY_DATA_DIR!, `intake.db${end}`), { force: true });
    }
    parley = await start(place);
  }

  const say = async (body: string, waitFor: State = State.STATE_PERSISTED): Promise<Message> =>
    (await parley.clients.createMessage({ ...key, message: { body }, waitFor })).message!;

  it("never give a number again, in the chat or in the application", async () => {
    for (const body of ["one", "two", "three"]) await say(body);
    await lose();
    const after = await say("after");
    expect(after.number).to.be.above(3);
    const { chat } = await parley.clients.createChat({ applicationToken: key.applicationToken });
    expect(chat!.number).to.be.above(1);

    const { messages, voids } = await parley.clients.listMessages({ ...key, pageSize: 1_000 });
    expect(messages.map((one) => one.body)).to.deep.equal(["one", "two", "three", "after"]);
    expect(voids).to.deep.equal([{ firstNumber: 4, lastNumber: after.number - 1 }]);
    const refusal = await refusalOf(parley.clients.getMessage({ ...key, number: 4 }));
    expect(refusal.code).to.equal(status.NOT_FOUND);
    expect(refusal.reason).to.equal("NUMBER_VOID");
  });

  it("let lists and gets of what is stored go on as they were", async () => {
    for (const body of ["one", "two", "three"]) await say(body);
    await lose();
    const { messages } = await parley.clients.listMessages(key);
    expect(messages.map((one) => one.body)).to.deep.equal(["one", "two", "three"]);
    const down = await parley.clients.listMessages({ ...key, orderBy: "number desc" });
    expect(down.messages.map((one) => one.number)).to.deep.equal([3, 2, 1]);
    const got = await parley.clients.getMessage({ ...key, number: 2 });
    expect(got.message!.body).to.equal("two");
  });

  it("are lost twice, and still give every number once", async () => {
    const numbers = [(await say("one")).number];
    for (const body of ["two", "three"]) {
      await lose();
      numbers.push((await say(body)).number, (await say(body)).number);
    }
    expect(new Set(numbers).size).to.equal(5);
    expect([...numbers].sort((a, b) => a - b)).to.deep.equal(numbers);
    const { messages, voids } = await parley.clients.listMessages({ ...key, pageSize: 1_000 });
    expect(messages.map((one) => one.number)).to.deep.equal(numbers);
    const skipped = voids.reduce((sum, one) => sum + one.lastNumber - one.firstNumber + 1, 0);
    expect(messages.length + skipped).to.equal(numbers[numbers.length - 1]);
  });

  it("show a job in place of a void that its number lies in", async () => {
    await say("one");
    const { ledger } = parley.system.stack;
    // As where another process seeds the counter once more: it holds nothing of ours to be given.
    for (const one of [...parley.system.processes].reverse()) {
      if (one !== parley.system.api) await one.stop();
    }
    await parley.clients.createMessage({ ...key, message: { body: "two" } });
    await ledger.insertVoids(key, { firstNumber: 2, lastNumber: 5 });
    const { messages } = await parley.clients.listMessages(key);
    expect(messages.map((one) => one.body)).to.deep.equal(["one", "two"]);
  });

  it("are there again without being used, and their counts are right", async () => {
    for (const body of ["one", "two"]) await say(body);
    await lose();
    await parley.stop();
    parley = await start(place, ["api", "worker", "scheduler"], {
      PARLEY_REPAIR_CRON: "* * * * * *",
      PARLEY_SYNC_CRON: "* * * * * *",
    });
    // Nobody creates anything from here on.
    const { applicationToken } = key;
    const counts = async () => [
      (await parley.clients.getApplication({ applicationToken })).application!.chatsCount,
      (await parley.clients.getChat({ applicationToken, number: 1 })).chat!.messagesCount,
    ];
    while ((await counts()).join() !== "1,2") await new Promise((done) => setTimeout(done, 50));
    const values = await parley.system.stack.intake.counts([{ applicationToken }, key]);
    for (const value of values) expect(value).to.be.at.least(1);
  });

  it("do not go under an epoch that the intake has already left behind", async () => {
    await say("one");
    const { intake, ledger } = parley.system.stack;
    const { connection } = await intake.inspect();
    // As after the restore of a database that is older than the counters.
    await intake.install({ connection, epoch: 9 });
    expect((await say("two")).number).to.be.above(1);
    expect(await ledger.get()).to.deep.include({ epoch: 10, pending: false });
  });
});
