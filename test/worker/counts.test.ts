import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import { syncCounts } from "../../src/worker/chores.ts";
import { Scheduler } from "../../src/worker/scheduler.ts";
import {
  describeStacks,
  freshPlace,
  type Place,
  type Running,
  start,
  testLog,
} from "../support/system.ts";

describeStacks("counts", (stack) => {
  let place: Place;
  let parley: Running;
  let applicationToken: string;

  beforeEach(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
    const answer = await parley.clients.createApplication({ application: { name: "counts" } });
    applicationToken = answer.application!.token;
  });
  afterEach(async () => {
    await parley?.stop();
    await place?.drop();
  });

  async function fill(chats: number, messages: number): Promise<void> {
    const waitFor = State.STATE_PERSISTED;
    for (let at = 0; at < chats; at++) {
      const { chat } = await parley.clients.createChat({ applicationToken, waitFor });
      const chatNumber = chat!.number;
      for (let number = 0; number < messages; number++) {
        const message = { body: "counted" };
        await parley.clients.createMessage({ applicationToken, chatNumber, message });
      }
    }
  }

  async function shown() {
    const { application } = await parley.clients.getApplication({ applicationToken });
    const { chats } = await parley.clients.listChats({ applicationToken });
    return {
      chatsCount: application!.chatsCount,
      countTime: application!.countTime,
      messagesCounts: chats.map((chat) => chat.messagesCount),
    };
  }

  const sync = (date: Date) => syncCounts(parley.system.stack, () => date);

  it("are not live: they change when a sync copies them", async () => {
    await fill(2, 3);
    expect(await shown()).to.deep.include({ chatsCount: 0, countTime: undefined });
    const date = new Date("2026-01-02T03:04:05.678Z");
    expect(await sync(date)).to.equal(3);
    expect(await shown()).to.deep.equal({
      chatsCount: 2,
      countTime: date,
      messagesCounts: [3, 3],
    });
  });

  it("cost a sync only what changed since the last one", async () => {
    await fill(3, 1);
    await sync(new Date());
    expect(await sync(new Date())).to.equal(0);
    const message = { body: "one more" };
    await parley.clients.createMessage({ applicationToken, chatNumber: 2, message });
    expect(await sync(new Date())).to.equal(1);
    expect((await shown()).messagesCounts).to.deep.equal([1, 2, 1]);
  });

  it("are copied once by several schedulers on one clock", async () => {
    await fill(1, 2);
    const never = { repairCron: "0 0 1 1 *", purgeCron: "0 0 1 1 *", retentionCron: "0 0 1 1 *" };
    const every = { syncCron: "* * * * * *", ...never, retentionDays: 0 };
    const { stack, core } = parley.system;
    const parts = { ...stack, ...core, log: testLog };
    const schedulers = [new Scheduler(parts, every), new Scheduler(parts, every)];
    for (const one of schedulers) await one.start();
    while ((await shown()).countTime === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    for (const one of schedulers) await one.stop();
    expect(await shown()).to.deep.include({ chatsCount: 1, messagesCounts: [2] });
  });
});
