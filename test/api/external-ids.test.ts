import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import { Redis } from "ioredis";
import { State } from "../../clients/typescript/src/contract.ts";
import { chatJob } from "../contract/jobs.ts";
import { Wire } from "../contract/wire.ts";
import {
  describeStacks,
  freshPlace,
  type Place,
  type Running,
  refusalOf,
  start,
} from "../support/system.ts";

describeStacks("external ids", (stack) => {
  let place: Place;
  /** Two API processes, or one where a second is refused. */
  let parley: Running[];
  let applicationToken: string;

  before(async () => {
    place = await freshPlace(stack);
    parley = await startAll();
  });
  after(async () => {
    for (const one of parley ?? []) await one.stop();
    await place?.drop();
  });
  beforeEach(async () => {
    const application = { name: "external ids" };
    const answer = await parley[0]!.clients.createApplication({ application });
    applicationToken = answer.application!.token;
  });

  const startAll = async () =>
    stack === "production"
      ? [await start(place), await start(place, ["api"])]
      : [await start(place)];

  /** Redis is emptied under the running system; the embedded file is gone at the next start. */
  async function lose(): Promise<void> {
    if (stack === "production") {
      const redis = new Redis(place.env.PARLEY_REDIS_URL!);
      await redis.flushdb();
      redis.disconnect();
      return;
    }
    await parley[0]!.stop();
    for (const end of ["", "-wal", "-shm"]) {
      rmSync(join(place.env.PARLEY_DATA_DIR!, `intake.db${end}`), { force: true });
    }
    parley = await startAll();
  }

  const create = (externalId: string, more: object = {}, at = 0) =>
    parley[at % parley.length]!.clients.createChat({
      applicationToken,
      chat: { externalId },
      ...more,
    });
  const get = async (externalId: string) =>
    (await parley[0]!.clients.getChat({ applicationToken, externalId })).chat!;
  const remove = (number: number) =>
    parley[0]!.clients.deleteChat({ applicationToken, number, force: true });
  const persisted = { waitFor: State.STATE_PERSISTED };

  it("answer with the chat that has it, as it is", async () => {
    const attributes = { color: "red" };
    const first = await create("x", { chat: { externalId: "x", attributes } });
    expect(first).to.include({ existed: false, replayed: false });
    expect(first.chat).to.deep.include({ number: 1, externalId: "x", attributes });
    const other = { chat: { externalId: "x", attributes: { color: "blue" } }, ...persisted };
    const again = await create("x", other, 1);
    expect(again).to.include({ existed: true, replayed: false });
    expect(again.chat).to.deep.equal({ ...first.chat, state: State.STATE_PERSISTED });
    expect((await create("X")).chat!.number).to.equal(2);
    expect((await create("")).chat).to.include({ number: 3, externalId: "" });
    const { chats } = await parley[0]!.clients.listChats({ applicationToken });
    expect(chats.map((chat) => chat.externalId)).to.deep.equal(["x", "X", ""]);
    expect(chats[0]!.attributes).to.deep.equal(attributes);
  });

  it("find their chat in GetChat, which takes either it or the number", async () => {
    const { chat } = await create("né ", persisted);
    expect(await get("né ")).to.deep.equal(chat);
    const { clients } = parley[0]!;
    for (const externalId of ["né", "ne ", "NÉ "]) {
      const refusal = await refusalOf(clients.getChat({ applicationToken, externalId }));
      expect(refusal).to.include({ code: status.NOT_FOUND, reason: "CHAT_NOT_FOUND" });
    }
    const strange = { applicationToken: randomUUID(), externalId: "né " };
    expect((await refusalOf(clients.getChat(strange))).reason).to.equal("APPLICATION_NOT_FOUND");
    const both = await refusalOf(clients.getChat({ applicationToken, number: 1, externalId: "x" }));
    expect(both).to.include({ reason: "FIELD_INVALID" });
    expect(both.violations.external_id).to.equal("must be empty where number is set");
    const none = await refusalOf(clients.getChat({ applicationToken }));
    expect(none.violations.number).to.include("external_id");
  });

  it("give 64 callers one chat, also after a loss of counters, until it is deleted", async () => {
    const all = () => Promise.all(Array.from({ length: 64 }, (_, at) => create("x", {}, at)));
    const first = await all();
    expect(new Set(first.map((one) => one.chat!.number))).to.deep.equal(new Set([1]));
    expect(first.filter((one) => !one.existed)).to.have.length(1);
    await create("x", persisted);

    await lose();
    for (const one of await all()) {
      expect(one.existed).to.equal(true);
      expect(one.chat!.number).to.equal(1);
    }

    await remove(1);
    const refusal = await refusalOf(get("x"));
    expect(refusal.reason).to.equal("CHAT_NOT_FOUND");
    const anew = await all();
    const [number, ...others] = new Set(anew.map((one) => one.chat!.number));
    expect(number).to.be.above(1);
    expect(others).to.deep.equal([]);
    expect(anew.filter((one) => !one.existed)).to.have.length(1);
  });

  it("are freed where the intake still has them of a chat that is no more", async () => {
    const { intake, deletions } = parley[0]!.system.stack;
    await create("x", persisted);
    await deletions.decide({ applicationToken, chatNumber: 1 }, { known: true, now: new Date() });
    expect(await intake.findNamed({ applicationToken, externalId: "x" })).to.equal(1);
    expect(await create("x")).to.deep.include({ existed: false });
    expect((await get("x")).number).to.equal(2);
  });

  it("mean the newest chat where a late job brings one back that was lost", async () => {
    await lose();
    const { chat } = await create("x", persisted);
    const { store } = parley[0]!.system.stack;
    const number = chat!.number - 1;
    const [outcome] = await store.insertJobs([
      chatJob(applicationToken, number, { externalId: "x" }),
    ]);
    expect(outcome!.kind).to.equal("inserted");
    for (const lost of [false, true]) {
      if (lost) await lose();
      expect((await create("x")).chat!.number).to.equal(chat!.number);
      expect((await get("x")).number).to.equal(chat!.number);
    }
    const both = await parley[0]!.clients.getChat({ applicationToken, number });
    expect(both.chat!.externalId).to.equal("x");
    await remove(chat!.number);
    expect((await create("x")).chat!.number).to.equal(number);
  });

  it("leave a request id its meaning", async () => {
    const requestId = randomUUID();
    const first = await create("x", { requestId, ...persisted });
    const again = await create("x", { requestId });
    expect(again).to.deep.include({ replayed: true, existed: false });
    expect(again.chat).to.deep.include({ number: first.chat!.number, externalId: "x" });
    expect(await create("x", { requestId: randomUUID() })).to.deep.include({ existed: true });
    for (const chat of [{ externalId: "y" }, { externalId: "x", attributes: { a: "b" } }, {}]) {
      const refusal = await refusalOf(create("", { requestId, chat }));
      expect(refusal.reason).to.equal("REQUEST_ID_REUSED");
    }
    await remove(first.chat!.number);
    expect((await refusalOf(create("x", { requestId }))).reason).to.equal("NUMBER_VOID");
    expect((await create("x")).existed).to.equal(false);
  });
});

describeStacks("external ids, while parts are away", (stack) => {
  let place: Place;
  let parley: Running;
  let wire: Wire | undefined;

  before(async () => {
    place = await freshPlace(stack);
    if (stack === "production") {
      wire = await new Wire(place.env.PARLEY_MYSQL_URL!).open();
      place.env.PARLEY_MYSQL_URL = wire.href;
    }
    parley = await start(place, ["api"], { PARLEY_BACKLOG_MAX: "1" });
  });
  after(async () => {
    await parley?.stop();
    await wire?.close();
    await place?.drop();
  });

  it("find their chat while the backlog is full, and while the database is away", async () => {
    const { clients } = parley;
    const { application } = await clients.createApplication({ application: { name: "away" } });
    const applicationToken = application!.token;
    const create = (externalId: string) =>
      clients.createChat({ applicationToken, chat: { externalId, attributes: { a: "b" } } });
    const { chat } = await create("x");
    expect((await refusalOf(create("y"))).reason).to.equal("BACKLOG_FULL");
    expect(await create("x")).to.deep.equal({ chat, replayed: false, existed: true });
    if (wire === undefined) return;
    await wire.close();
    expect(await create("x")).to.deep.equal({ chat, replayed: false, existed: true });
    expect((await refusalOf(create("y"))).reason).to.equal("STORE_UNAVAILABLE");
  });
});
