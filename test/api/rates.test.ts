import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import type { ListMessagesResponse } from "../../clients/typescript/src/contract.ts";
import { Rates } from "../../src/api/rates.ts";
import { importFile } from "../../src/transfer/import.ts";
import { everyCall, freshFolder, makeKey, until, writeKeys } from "../support/door.ts";
import {
  type Clients,
  freshPlace,
  openClients,
  type Place,
  type Refusal,
  type Running,
  refusalOf,
  start,
} from "../support/system.ts";

describe("a bucket of calls", () => {
  const NOW = 1_000_000.123;
  const taken = (rates: Rates, name: string, nowMs: number) => {
    let calls = 0;
    while (rates.take(name, nowMs) === 0) calls++;
    return calls;
  };

  it("holds its burst, is filled by its rate, and never holds more", () => {
    for (const callsPerSecond of [1, 3, 7, 1_000, 999_999]) {
      const rates = new Rates({ callsPerSecond, burst: 10 });
      expect(taken(rates, "a", NOW)).to.equal(10);
      expect(taken(rates, "a", NOW + 5_000 / callsPerSecond)).to.equal(5);
      expect(taken(rates, "a", NOW + 1_000_000)).to.equal(10);
    }
  });

  it("says when the next call is let in", () => {
    const rates = new Rates({ callsPerSecond: 4, burst: 1 });
    expect(rates.take("a", NOW)).to.equal(0);
    const waitMs = rates.take("a", NOW + 100);
    expect(waitMs).to.be.closeTo(150, 0.001);
    expect(rates.take("a", NOW + 100 + waitMs - 1)).to.be.above(0);
    expect(rates.take("a", NOW + 100 + waitMs)).to.equal(0);
  });

  it("is one for each name", () => {
    const rates = new Rates({ callsPerSecond: 1, burst: 2 });
    expect([taken(rates, "a", NOW), taken(rates, "b", NOW)]).to.deep.equal([2, 2]);
  });

  it("of an application that exists is not pushed out by made-up names", () => {
    const rates = new Rates({ callsPerSecond: 1, burst: 2 });
    taken(rates, "real", NOW);
    rates.prove("real");
    for (let at = 0; at < 20_000; at++) rates.take(`made up ${at}`, NOW);
    expect(taken(rates, "real", NOW)).to.equal(0);
  });

  it("is not filled by the proof that its application exists", () => {
    const rates = new Rates({ callsPerSecond: 1, burst: 2 });
    taken(rates, "real", NOW);
    rates.prove("real");
    rates.prove("real");
    expect(taken(rates, "real", NOW)).to.equal(0);
    expect(taken(rates, "real", NOW + 1_000)).to.equal(1);
  });
});

describe("calls beyond the rate of an application", () => {
  const folder = freshFolder();
  const one = makeKey();
  const two = makeKey();
  const BURST = 30;
  let place: Place;
  let parley: Running;
  let clients: Clients[];

  const limits = { PARLEY_RATE_LIMIT: "1", PARLEY_RATE_BURST: `${BURST}` };

  before(async () => {
    writeKeys(folder.path("keys.json"), [one.entry, two.entry]);
    place = await freshPlace("embedded");
  });
  beforeEach(async () => {
    const env = { ...limits, PARLEY_KEYS_FILE: folder.path("keys.json") };
    parley = await start(place, undefined, env, { connection: one.connection });
    clients = [parley.clients, openClients(parley.target, two.connection)];
  });
  afterEach(async () => {
    clients?.[1]?.close();
    await parley?.stop();
  });
  after(async () => {
    await place?.drop();
    folder.drop();
  });

  const LIMITED = { code: status.RESOURCE_EXHAUSTED, reason: "RATE_LIMITED" };

  /** Calls at once until one is refused, and returns its refusal. */
  async function exhaust(call: () => Promise<unknown>): Promise<Refusal> {
    const calls = Array.from({ length: 2 * BURST }, () => call());
    const ends = await Promise.allSettled(calls);
    const refused = ends.findIndex(
      (end) => end.status === "rejected" && end.reason.code === status.RESOURCE_EXHAUSTED,
    );
    expect(refused).to.be.at.least(0);
    return refusalOf(calls[refused]!);
  }

  it("are refused whatever they are, with the time of the next, and use up no number", async () => {
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    const applicationToken = application!.token;
    await parley.clients.createChat({ applicationToken });
    const refusal = await exhaust(() =>
      parley.clients.createMessage({ applicationToken, chatNumber: 1, message: { body: "b" } }),
    );
    expect(refusal).to.include(LIMITED);
    expect(refusal.retryMs).to.be.within(1, 1_000);
    const { reads, writes } = everyCall(clients[1]!, applicationToken);
    for (const call of Object.values({ ...reads, ...writes })) {
      expect(await exhaust(call)).to.include(LIMITED);
    }
    const key = { applicationToken, chatNumber: 1, pageSize: 1_000 };
    let page: ListMessagesResponse | undefined;
    await until("a call is let in again", async () => {
      page = await parley.clients.listMessages(key).catch(() => undefined);
      return page !== undefined;
    });
    expect(page!.voids).to.deep.equal([]);
    const dense = page!.messages.map((_, at) => at + 1);
    expect(page!.messages.map((message) => message.number)).to.deep.equal(dense);
  });

  it("leave the calls of other applications alone", async () => {
    const create = async (name: string) =>
      (await parley.clients.createApplication({ application: { name } })).application!.token;
    const [loud, calm] = [await create("loud"), await create("calm")];
    await exhaust(() => parley.clients.getApplication({ applicationToken: loud }));
    await parley.clients.getApplication({ applicationToken: calm });
  });

  it("count by their keys where they name no application", async () => {
    const refusal = await exhaust(() => clients[0]!.listApplications({}));
    expect(refusal).to.include(LIMITED);
    await clients[1]!.listApplications({});
    expect(await exhaust(() => clients[1]!.getChat({ applicationToken: "x" }))).to.include(LIMITED);
  });

  it("are waited for by an import", async () => {
    const file = folder.path("lines.jsonl");
    const lines = Array.from({ length: BURST / 2 + 1 }, (_, at) => ({ chat: at, body: "x" }));
    writeFileSync(file, lines.map((line) => JSON.stringify(line)).join("\n"));
    const { target } = parley;
    const { connection } = one;
    const badLine = () => expect.fail("a line was refused");
    // These chats and as many batches are two calls more than the burst of the new application.
    const result = await importFile({ file, target, connection, applicationName: "x", badLine });
    expect(result).to.include({ chats: lines.length, messages: lines.length, badLines: 0 });
  });

  it("with made-up tokens do not give a real application a new bucket", async () => {
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    const applicationToken = application!.token;
    const call = () => parley.clients.getApplication({ applicationToken });
    await exhaust(call);
    const madeUp = () => clients[1]!.getApplication({ applicationToken: randomUUID() });
    for (let round = 0; round < 6; round++) {
      await Promise.allSettled(Array.from({ length: 200 }, madeUp));
    }
    // Where its bucket had been pushed out, all of them would be let in.
    const ends = await Promise.allSettled(Array.from({ length: BURST }, call));
    expect(ends.some(({ status }) => status === "rejected")).to.equal(true);
  });
});
