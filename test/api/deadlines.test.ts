import { randomUUID } from "node:crypto";
import { credentials, Metadata, status } from "@grpc/grpc-js";
import { expect } from "chai";
import {
  CreateMessageRequest,
  MessageServiceClient,
  State,
} from "../../clients/typescript/src/contract.ts";
import type { Counter } from "../../src/core/ports.ts";
import { Wire } from "../contract/wire.ts";
import { productionMissing } from "../support/servers.ts";
import { describeStacks, freshPlace, type Running, start, useSystem } from "../support/system.ts";

type Key = { applicationToken: string; chatNumber: number };

async function newChat({ clients }: Running): Promise<Key> {
  const { application } = await clients.createApplication({ application: { name: "hurried" } });
  const applicationToken = application!.token;
  await clients.createChat({ applicationToken });
  return { applicationToken, chatNumber: 1 };
}

/** The bodies in the order of their numbers, which have no hole. */
async function listAll({ clients }: Running, key: Key): Promise<string[]> {
  const bodies: string[] = [];
  let pageToken = "";
  do {
    const page = await clients.listMessages({ ...key, pageSize: 1_000, pageToken });
    expect(page.voids).to.deep.equal([]);
    for (const { number, body } of page.messages) expect(number).to.equal(bodies.push(body));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return bodies;
}

/**
 * What is read while a counter stands still, with its count. A call that nobody waits for any more
 * may still be at work.
 */
async function settled<T>(
  { system }: Running,
  counter: Counter,
  read: () => Promise<T>,
): Promise<{ seen: T; count: number }> {
  const { intake, queue } = system.stack;
  for (;;) {
    const [count = 0] = await intake.counts([counter]);
    const seen = await read();
    while ((await intake.backlog()).jobs > 0) await new Promise((done) => setTimeout(done, 20));
    expect(await queue.listParked(10)).to.deep.equal([]);
    const [after] = await intake.counts([counter]);
    if (count === after) return { seen, count };
  }
}

/** Every number up to the counter is a message, and no job is left over or out of tries. */
async function expectWhole(parley: Running, key: Key): Promise<string[]> {
  const { seen, count } = await settled(parley, key, () => listAll(parley, key));
  expect(seen.length).to.equal(count);
  return seen;
}

describeStacks("calls that have little time or are given up", (stack) => {
  const parley = useSystem(stack);

  it("are answered or end as DEADLINE_EXCEEDED, and leave nothing half-done", async () => {
    const { clients } = parley;
    const key = await newChat(parley);
    const { applicationToken } = key;
    const name = "hurried";
    for (let round = 0; round < 24; round++) {
      const options = { timeoutMs: 1 + (round % 6) };
      const message = { body: `${round}` };
      const calls: Promise<unknown>[] = [
        clients.createApplication({ application: { name } }, options),
        clients.getApplication({ applicationToken }, options),
        clients.listApplications({}, options),
        clients.updateApplication({ application: { token: applicationToken, name } }, options),
        clients.createChat({ applicationToken, waitFor: State.STATE_PERSISTED }, options),
        clients.getChat({ applicationToken, number: 1 }, options),
        clients.listChats({ applicationToken }, options),
        clients.createMessage({ ...key, message, waitFor: State.STATE_SEARCHABLE }, options),
        clients.getMessage({ ...key, number: 1 }, options),
        clients.listMessages(key, options),
        clients.searchMessages({ ...key, query: "1" }, options),
      ];
      for (const result of await Promise.allSettled(calls)) {
        if (result.status === "fulfilled") continue;
        expect(result.reason.code).to.be.oneOf([status.DEADLINE_EXCEEDED, status.NOT_FOUND]);
      }
    }
    await expectWhole(parley, key);
    const list = () => clients.listChats({ applicationToken, pageSize: 1_000 });
    const { seen, count } = await settled(parley, { applicationToken }, list);
    expect(seen.chats.map((chat) => chat.number)).to.deep.equal(
      Array.from({ length: count }, (_, at) => at + 1),
    );
  }).timeout(60_000);

  it("may be cancelled at any time under load, and the numbers stay dense", async () => {
    const key = await newChat(parley);
    const client = new MessageServiceClient(parley.target, credentials.createInsecure());
    const answered: string[] = [];
    const caller = async (who: number) => {
      for (let at = 0; at < 40; at++) {
        const body = `${who}.${at}`;
        const request = CreateMessageRequest.fromPartial({ ...key, message: { body } });
        await new Promise<void>((done) => {
          const call = client.createMessage(request, new Metadata(), (error) => {
            if (error === null) answered.push(body);
            else expect(error.code, error.message).to.equal(status.CANCELLED);
            done();
          });
          // Spread over the time that a call takes, the same in every run.
          if ((who + at) % 3 > 0) setTimeout(() => call.cancel(), (who * 7 + at * 3) % 12);
        });
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, who) => caller(who)));
    client.close();
    const bodies = await expectWhole(parley, key);
    expect(new Set(bodies).size).to.equal(bodies.length);
    expect(bodies).to.include.members(answered);
  }).timeout(60_000);

  it("give a retry with the same request id the number that was given before", async () => {
    const key = await newChat(parley);
    let late = 0;
    const create = async (at: number) => {
      const request = { ...key, message: { body: `${at}` }, requestId: randomUUID() };
      for (let timeoutMs = 1 + (at % 5); ; timeoutMs = 10_000) {
        try {
          return (await parley.clients.createMessage(request, { timeoutMs })).message!.number;
        } catch (error) {
          expect((error as { code: number }).code, String(error)).to.equal(
            status.DEADLINE_EXCEEDED,
          );
          late++;
        }
      }
    };
    const numbers: number[] = [];
    for (let round = 0; round < 10; round++) {
      numbers.push(...(await Promise.all(Array.from({ length: 30 }, (_, at) => create(at)))));
    }
    expect(late).to.be.above(0);
    expect(numbers.sort((a, b) => a - b)).to.deep.equal(numbers.map((_, at) => at + 1));
    expect(await expectWhole(parley, key)).to.have.length(300);
  }).timeout(60_000);
});

describeStacks("calls that wait for a worker", (stack) => {
  const parley = useSystem(stack, ["api"]);

  it("answer with the state reached where it is too slow for their deadline", async () => {
    const { clients } = parley;
    const key = await newChat(parley);
    for (const waitFor of [State.STATE_PERSISTED, State.STATE_SEARCHABLE] as const) {
      const request = { ...key, message: { body: "slow" }, waitFor };
      const { message } = await clients.createMessage(request, { timeoutMs: 400 });
      expect(message!.state).to.equal(State.STATE_ACCEPTED);
    }
    const { applicationToken } = key;
    const waitFor = State.STATE_PERSISTED;
    const { chat } = await clients.createChat({ applicationToken, waitFor }, { timeoutMs: 400 });
    expect(chat!.state).to.equal(State.STATE_ACCEPTED);
  });
});

(productionMissing === undefined ? describe : describe.skip)("a database that falls silent", () => {
  it("makes no create fail whose number is given", async () => {
    const place = await freshPlace("production");
    const wire = await new Wire(place.env.PARLEY_MYSQL_URL!).open();
    const parley = await start(place, ["api"], { PARLEY_MYSQL_URL: wire.href });
    try {
      const key = await newChat(parley);
      await parley.clients.createMessage({ ...key, message: { body: "before" } });
      wire.silence();
      const request = { ...key, message: { body: "after" }, waitFor: State.STATE_PERSISTED };
      const { message } = await parley.clients.createMessage(request, { timeoutMs: 2_000 });
      expect(message!.number).to.equal(2);
      expect(message!.state).to.equal(State.STATE_ACCEPTED);
    } finally {
      await wire.close();
      await parley.stop();
      await place.drop();
    }
  }).timeout(60_000);
});
