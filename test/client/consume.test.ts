import { expect } from "chai";
import {
  type ConsumeOptions,
  type Message,
  ParleyClient,
  type Position,
} from "../../clients/typescript/src/index.ts";
import { Wire } from "../contract/wire.ts";
import { until } from "../support/door.ts";
import { freshPlace, start, useSystem } from "../support/system.ts";

const numbersTo = (last: number) => Array.from({ length: last }, (_, at) => at + 1);

describe("a consumer of the TypeScript client", () => {
  const parley = useSystem("embedded");
  let near: ParleyClient;
  let far: ParleyClient;
  let wire: Wire;
  before(async () => {
    wire = await new Wire(`tcp://${parley.target}`).open();
    near = new ParleyClient({ address: parley.target });
    far = new ParleyClient({ address: new URL(wire.href).host });
  });
  after(async () => {
    near.close();
    far.close();
    await wire.close();
  });

  async function newChat() {
    const { token: applicationToken } = await near.applications.create({ name: "shop" });
    const { number } = await near.chats.create({ applicationToken });
    return { applicationToken, chatNumber: number };
  }

  /** A consumer by the wire that keeps what it is handed. */
  function consume(
    place: { applicationToken: string; chatNumber: number },
    options: Partial<ConsumeOptions> = {},
  ) {
    const heard: number[] = [];
    const changes: string[] = [];
    let position: Position | undefined;
    const stopping = new AbortController();
    const ended = far.messages.consume({
      ...place,
      onMessage: ({ number }, at) => {
        heard.push(number);
        position = at;
      },
      onChange: ({ number, body, deleteTime }) => {
        changes.push(`${number} ${deleteTime === undefined ? body : "deleted"}`);
      },
      signal: stopping.signal,
      ...options,
    });
    const stop = () => {
      stopping.abort();
      return ended;
    };
    return { heard, changes, ended, stop, position: () => position };
  }

  it("is handed what is there and what comes, once and in order, whatever is cut", async () => {
    const place = await newChat();
    const write = (count: number) =>
      Promise.all(numbersTo(count).map(() => near.messages.create({ ...place, body: "more" })));
    await write(20);
    const consumer = consume(place);
    for (let rounds = 0; rounds < 4; rounds++) {
      await write(10);
      wire.cut();
      await write(10);
    }
    await until("all has come", () => consumer.heard.length >= 100);
    await consumer.stop();
    expect(consumer.heard).to.deep.equal(numbersTo(100));
    expect(consumer.position()).to.include({ afterNumber: 100 });

    const again = consume(place, consumer.position());
    await write(1);
    await until("what is new has come", () => again.heard.length >= 1);
    await again.stop();
    expect(again.heard).to.deep.equal([101]);
  });

  it("is told of edits and deletions, also of the first, made while it was away", async () => {
    const place = await newChat();
    for (const body of ["one", "two"]) await near.messages.create({ ...place, body });
    const consumer = consume(place);
    await until("both have come", () => consumer.heard.length === 2);
    await wire.close();
    await near.messages.update({ ...place, number: 1, body: "first" });
    await wire.open();
    await until("the edit has come", () => consumer.changes.includes("1 first"));
    await near.messages.delete({ ...place, number: 2 });
    await until("the deletion has come", () => consumer.changes.includes("2 deleted"));
    await consumer.stop();
    expect(consumer.heard).to.deep.equal([1, 2]);
  });

  it("waits for its handler before it takes more", async () => {
    const place = await newChat();
    let inWork = 0;
    let most = 0;
    const taken: number[] = [];
    const consumer = consume(place, {
      onMessage: async ({ number }: Message) => {
        most = Math.max(most, ++inWork);
        await near.messages.get({ ...place, number });
        inWork--;
        taken.push(number);
      },
    });
    for (let count = 0; count < 10; count++) await near.messages.create({ ...place, body: "more" });
    await until("all has come", () => taken.length === 10);
    await consumer.stop();
    expect({ most, taken }).to.deep.equal({ most: 1, taken: numbersTo(10) });
  });

  it("ends with what no retry mends, and with what its handler throws", async () => {
    const place = await newChat();
    const nowhere = await consume({ ...place, chatNumber: 9 }).ended.catch((error) => error);
    expect(nowhere).to.include({ code: "NOT_FOUND", reason: "CHAT_NOT_FOUND" });
    const fault = new Error("the handler's own");
    await near.messages.create({ ...place, body: "one" });
    const failing = consume(place, {
      onMessage: () => {
        throw fault;
      },
    });
    expect(await failing.ended.catch((error) => error)).to.equal(fault);
  });
});

describe("a consumer of a chat whose messages wait to be stored", () => {
  it("is handed them when they are, also by a server that it finds later", async () => {
    const place = await freshPlace("embedded");
    const watch = { lookMs: 20, pendingMs: 50 };
    let parley = await start(place, ["api"], {}, { watch });
    const wire = await new Wire(`tcp://${parley.target}`).open();
    const client = new ParleyClient({ address: new URL(wire.href).host });
    const stopping = new AbortController();
    try {
      const { token: applicationToken } = await client.applications.create({ name: "shop" });
      const { number: chatNumber } = await client.chats.create({ applicationToken });
      const chat = { applicationToken, chatNumber };
      await client.messages.create({ ...chat, body: "one" });
      await client.messages.create({ ...chat, body: "two" });
      const heard: string[] = [];
      const onMessage = (message: Message, { pending }: Position) => {
        heard.push(`${message.number} of ${JSON.stringify(pending)}`);
      };
      const { signal } = stopping;
      const waiting = client.messages.consume({ ...chat, onMessage, signal });
      // Another that was told the same, and whose process has ended since.
      const pending = [{ firstNumber: 1, lastNumber: 2 }];
      for await (const { event } of client.messages.watch(chat)) {
        if (event?.$case === "pending") break;
      }
      await parley.stop();
      parley = await start(place, ["api", "worker"], {}, { watch });
      wire.lead(`tcp://${parley.target}`);
      await until("both have come", () => heard.length === 2);
      stopping.abort();
      await waiting;
      expect(heard.map((one) => one[0]).toSorted()).to.deep.equal(["1", "2"]);

      const again: string[] = [];
      const ending = new AbortController();
      await client.messages.consume({
        ...chat,
        afterNumber: 2,
        afterChange: 0,
        pending,
        signal: ending.signal,
        onMessage: (message, at) => {
          again.push(`${message.number} of ${JSON.stringify(at.pending)}`);
          if (again.length === 2) ending.abort();
        },
      });
      expect(again).to.deep.equal(['1 of [{"firstNumber":2,"lastNumber":2}]', "2 of []"]);
    } finally {
      client.close();
      await wire.close();
      await parley.stop();
      await place.drop();
    }
  });
});
