import { setTimeout as sleep } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import { WatchMessagesRequest } from "../../clients/typescript/src/contract.ts";
import type { ChatKey, Store } from "../../src/core/ports.ts";
import type { Wakeup } from "../../src/core/wakeup.ts";
import { freshFolder, inTheClear, keepLog, makeKey, until, writeKeys } from "../support/door.ts";
import { framed, openHttp2, openStream } from "../support/strangers.ts";
import {
  describeStacks,
  freshPlace,
  openClients,
  type Place,
  type Running,
  refusalIn,
  start,
  useSystem,
} from "../support/system.ts";

const WATCH = "/parley.v1.MessageService/WatchMessages";
/** 1.6 MB, which is more than waits for one who is slow. */
const LONG = { count: 100, body: "x".repeat(16_384) };

/** No look comes in between, so that what is heard comes by hints alone; the rest comes soon. */
const SELDOM = { lookMs: 600_000, heartbeatMs: 200, slowMs: 1_500 };

async function newChat({ clients }: Running): Promise<ChatKey> {
  const { application } = await clients.createApplication({ application: { name: "watched" } });
  const applicationToken = application!.token;
  await clients.createChat({ applicationToken });
  return { applicationToken, chatNumber: 1 };
}

async function say({ clients }: Running, key: ChatKey, count: number, body: string) {
  const calls = Array.from({ length: count }, () =>
    clients.createMessage({ ...key, message: { body } }),
  );
  await Promise.all(calls);
}

describeStacks("many who watch one chat", (stack) => {
  const parley = useSystem(stack, ["api", "worker"], { watch: { lookMs: 600_000 } });
  const quiet = useSystem(stack, ["api", "worker"], { watch: { lookMs: 50 } });

  it("cost one subscription, and one read for what is new", async () => {
    const key = await newChat(parley);
    const { core } = parley.system;
    const { store, wakeup } = core;
    const counts = { reads: 0, subscriptions: 0 };
    const counting = <T extends object>(target: T, name: keyof T, count: () => void) =>
      new Proxy(target, {
        get: (_, asked) => {
          if (asked === name) count();
          const method = Reflect.get(target, asked);
          return typeof method === "function" ? method.bind(target) : method;
        },
      });
    core.store = counting<Store>(store, "listMessages", () => counts.reads++);
    core.wakeup = counting<Wakeup>(wakeup, "subscribe", () => counts.subscriptions++);
    // Clients share a connection unless told otherwise, and one takes 1,000 calls at a time.
    const own = { ...inTheClear, options: { "grpc.use_local_subchannel_pool": 1 } };
    const connected = [1, 2].map(() => openClients(parley.target, own));
    try {
      const all = connected.flatMap((one) =>
        Array.from({ length: 500 }, () => one.watchMessages(key)),
      );
      for (const one of all) await one.heard("caughtUp");
      counts.reads = 0;
      await say(parley, key, 1, "to all");
      for (const one of all) await one.heard("caughtUp", "message 1");
      expect(counts).to.deep.equal({ reads: 1, subscriptions: 1 });
      await Promise.all(all.map((one) => one.cancel()));
    } finally {
      for (const one of connected) one.close();
      Object.assign(core, { store, wakeup });
    }
  }).timeout(60_000);

  it("hear of what is new while looks at many quiet chats wait for the rows", async () => {
    const key = await newChat(quiet);
    const { applicationToken } = key;
    const chats = Array.from({ length: 12 }, (_, at) => ({ ...key, chatNumber: at + 2 }));
    for (const _ of chats) await quiet.clients.createChat({ applicationToken });
    const all = [key, ...chats].map((one) => quiet.clients.watchMessages(one));
    for (const one of all) await one.heard("caughtUp");
    const { core } = quiet.system;
    const { store } = core;
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const holding: Store["listMessages"] = async (of, page) => {
      if (of.chatNumber !== key.chatNumber) await held;
      return store.listMessages(of, page);
    };
    core.store = new Proxy(store, {
      get: (target, name) => {
        if (name === "listMessages") return holding;
        const method = Reflect.get(target, name);
        return typeof method === "function" ? method.bind(target) : method;
      },
    });
    try {
      // Every one of them was looked at by then, as far as they are let.
      await sleep(500);
      await say(quiet, key, 1, "heard at once");
      await all[0]!.heard("message 1");
    } finally {
      release();
      core.store = store;
    }
    await Promise.all(all.map((one) => one.cancel()));
  });

  it("hear all in its order where they take it late", async () => {
    const key = await newChat(parley);
    const watching = parley.clients.watchMessages(key);
    await watching.heard("caughtUp");
    watching.stream.pause();
    await say(parley, key, LONG.count, LONG.body);
    await parley.clients.watchMessages(key).heard(`message ${LONG.count}`);
    watching.stream.resume();
    await watching.heard(`message ${LONG.count}`);
    await watching.cancel();
    const numbers = watching.messages.map(({ number }) => number);
    expect(numbers).to.deep.equal(Array.from({ length: LONG.count }, (_, at) => at + 1));
  }).timeout(20_000);
});

describeStacks("those who watch and are slow, refused or at their end", (stack) => {
  const folder = freshFolder();
  const keysFile = folder.path("keys.json");
  const [root, guest] = [makeKey(), makeKey({ readOnly: true })];
  const { log, text } = keepLog();
  let place: Place;
  let parley: Running;

  beforeEach(async () => {
    writeKeys(keysFile, [root.entry, guest.entry]);
    if (parley !== undefined) return;
    place = await freshPlace(stack);
    const env = { PARLEY_KEYS_FILE: keysFile };
    const options = { watch: SELDOM, connection: root.connection, log };
    parley = await start(place, ["api", "worker"], env, options);
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
    folder.drop();
  });

  it("hear a heartbeat where there is nothing else to hear", async () => {
    const watching = parley.clients.watchMessages(await newChat(parley));
    await watching.heard("caughtUp", "heartbeat", "heartbeat");
    await watching.cancel();
  });

  it("are told that they are slow, and go on where they were", async () => {
    const key = await newChat(parley);
    await say(parley, key, LONG.count, LONG.body);
    const watching = parley.clients.watchMessages(key);
    watching.stream.pause();
    await new Promise<void>((resolve) => watching.stream.once("metadata", () => resolve()));
    // Its end is behind what it does not take, so it is heard of only when that is taken.
    await until("it is told to be slow", () => text().includes("WATCHER_SLOW"));
    watching.stream.resume();
    expect(refusalIn(await watching.ended)).to.include({ reason: "WATCHER_SLOW", retryMs: 500 });
    const next = parley.clients.watchMessages({ ...key, ...watching.at() });
    await next.heard("caughtUp");
    await next.cancel();
    const numbers = [...watching.messages, ...next.messages].map(({ number }) => number);
    expect(numbers).to.deep.equal(Array.from({ length: LONG.count }, (_, at) => at + 1));
  }).timeout(20_000);

  it("are cut where they never take anything", async () => {
    const key = await newChat(parley);
    await say(parley, key, 2, LONG.body);
    const session = openHttp2(parley.system.api!.port, { settings: { initialWindowSize: 0 } });
    const authorization = `Bearer ${root.key}`;
    const stream = openStream(session, WATCH, { authorization })!;
    const closed = new Promise((resolve) => stream.once("close", resolve));
    stream.end(framed(WatchMessagesRequest.encode(WatchMessagesRequest.fromPartial(key)).finish()));
    await closed;
    session.destroy();
  }).timeout(20_000);

  it("hear no more when their key is taken away", async () => {
    const key = await newChat(parley);
    const clients = openClients(parley.target, guest.connection);
    const watching = clients.watchMessages(key);
    const other = parley.clients.watchMessages(key);
    await watching.heard("caughtUp");
    writeKeys(keysFile, [root.entry]);
    expect(refusalIn(await watching.ended).reason).to.equal("KEY_INVALID");
    await say(parley, key, 1, "for others");
    await other.heard("message 1");
    await other.cancel();
    clients.close();
    expect(watching.words).to.not.include("message 1");
  });

  it("end by their deadline", async () => {
    const deadline = Date.now() + 300;
    const watching = parley.clients.watchMessages(await newChat(parley), { deadline });
    expect((await watching.ended)?.code).to.equal(status.DEADLINE_EXCEEDED);
  });

  it("are all told when the server stops, and hold up nothing", async () => {
    const key = await newChat(parley);
    const all = Array.from({ length: 50 }, () => parley.clients.watchMessages(key));
    for (const one of all) await one.heard("caughtUp");
    // Calls that are open would be waited for until the grace time is over.
    await parley.system.api!.stop();
    for (const one of all) {
      const refusal = refusalIn(await one.ended);
      expect(refusal).to.include({ code: status.UNAVAILABLE, reason: "SHUTTING_DOWN" });
    }
  }).timeout(2_000);
});
