import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { expect } from "chai";
import { MessageServiceService } from "../../clients/typescript/src/contract.ts";
import { Wire } from "../contract/wire.ts";
import {
  everyCall,
  freshFolder,
  keepLog,
  makeKey,
  secretOf,
  until,
  writeKeys,
} from "../support/door.ts";
import {
  type Clients,
  describeStacks,
  freshPlace,
  openClients,
  type Place,
  type Running,
  start,
} from "../support/system.ts";

/** What a caller sends; it is in bodies, authors, names, queries, ids, page tokens and keys. */
const MARK = "tell-nobody";
const SERVERS = ["PARLEY_MYSQL_URL", "PARLEY_REDIS_URL", "PARLEY_ELASTICSEARCH_URL"] as const;

describeStacks("the log at level trace", (stack) => {
  const folder = freshFolder();
  const kept = keepLog();
  const key = makeKey({ comment: MARK });
  const stranger = makeKey();
  const wires: Wire[] = [];
  let place: Place;
  let parley: Running;
  let worker: Running | undefined;
  let clients: Clients[];
  let applicationToken: string;

  before(async () => {
    writeKeys(folder.path("keys.json"), [key.entry]);
    place = await freshPlace(stack);
    const env: Record<string, string> = {
      ...place.env,
      PARLEY_KEYS_FILE: folder.path("keys.json"),
    };
    for (const name of stack === "production" ? SERVERS : []) {
      const wire = await new Wire(place.env[name]!).open();
      wires.push(wire);
      env[name] = wire.href.replace(/\/$/, "");
    }
    const { connection } = key;
    const { log } = kept;
    if (stack === "embedded") parley = await start(place, undefined, env, { log, connection });
    else {
      // The worker has a Redis of its own, so that it has jobs to fail with.
      const redis = place.env.PARLEY_REDIS_URL!;
      worker = await start(place, ["worker"], { ...env, PARLEY_REDIS_URL: redis }, { log });
      parley = await start(place, ["api"], env, { log, connection });
    }
    clients = [parley.clients, openClients(parley.target, stranger.connection)];
  });
  after(async () => {
    clients?.[1]?.close();
    await parley?.stop();
    await worker?.stop();
    for (const wire of wires) await wire.close();
    await place?.drop();
    folder.drop();
  });

  /** Every call with marked content, in order and out of it, with a known key and another. */
  async function sendMarks(): Promise<number> {
    const ends = await Promise.allSettled(
      clients.flatMap((one) => [
        ...markedCalls(one),
        ...Object.values(everyCall(one, applicationToken)).flatMap((calls) =>
          Object.values(calls).map((call) => call()),
        ),
      ]),
    );
    return ends.filter(({ status }) => status === "fulfilled").length;
  }

  function markedCalls(one: Clients): Promise<unknown>[] {
    const chat = { applicationToken, chatNumber: 1 };
    const requestId = "8f8ba1a0-6e10-4a7c-9d4b-1f0a4b6f6b0e";
    const message = { body: `${MARK} body`, author: `${MARK} author` };
    const named = { name: `${MARK} name` };
    const options = { timeoutMs: 3_000 };
    return [
      one.createApplication({ application: named }, options),
      one.createApplication({ application: { name: MARK.repeat(99) }, requestId: MARK }, options),
      one.updateApplication({ application: { token: applicationToken, ...named } }, options),
      one.updateApplication({ application: { token: MARK, ...named } }, options),
      one.updateApplication({ updateMask: [MARK] }, options),
      one.createMessage({ ...chat, message }, options),
      one.createMessage({ ...chat, message, waitFor: 3 }, options),
      one.createMessage({ ...chat, message, requestId }, options),
      one.createMessage({ ...chat, message: { body: `${MARK} again` }, requestId }, options),
      one.createMessage({ ...chat, chatNumber: 99, message }, options),
      one.createMessage({ ...chat, message: { body: MARK.repeat(2_000) } }, options),
      one.createMessage({ ...chat, message }, { timeoutMs: 1 }),
      one.searchMessages({ ...chat, query: MARK }, options),
      one.searchMessages({ ...chat, query: MARK, pageToken: MARK }, options),
      one.listMessages({ ...chat, pageToken: MARK, orderBy: MARK }, options),
      one.getChat({ applicationToken: MARK }, options),
    ];
  }

  /** Bytes that are no request, and hold a mark. */
  async function sendNoise(): Promise<void> {
    const client = new Client(parley.target, credentials.createInsecure());
    const { path, responseDeserialize } = MessageServiceService.createMessage;
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${key.key}`);
    metadata.set("x-more", MARK);
    const noise = Buffer.from(`\x0a\xff${MARK}`, "latin1");
    await new Promise<void>((resolve) => {
      const done = () => resolve();
      client.makeUnaryRequest(path, (one) => one, responseDeserialize, noise, metadata, done);
    });
    client.close();
  }

  function expectSilence(): void {
    const marked = kept
      .text()
      .split("\n")
      .filter((line) => line.includes(MARK));
    expect(marked).to.deep.equal([]);
    for (const one of [key, stranger]) {
      expect(kept.text()).not.to.contain(one.key);
      expect(kept.text()).not.to.contain(secretOf(one.key));
      expect(kept.text()).not.to.contain(one.entry.hash.split(":")[1]!);
    }
  }

  it("has a line for each call, and nothing of what was sent or of who sent it", async () => {
    const { application } = await clients[0]!.createApplication({
      application: { name: `${MARK} first` },
    });
    applicationToken = application!.token;
    await clients[0]!.createChat({ applicationToken });
    expect(await sendMarks()).to.be.above(8);
    await sendNoise();
    for (const code of ["OK", "INVALID_ARGUMENT", "UNAUTHENTICATED", "NOT_FOUND"]) {
      expect(kept.text()).to.contain(`"code":"${code}"`);
    }
    expectSilence();
  });

  if (stack === "embedded") return;

  it("has nothing of it either when servers go away in the middle of calls", async function () {
    this.timeout(60_000);
    for (const wire of wires) {
      const calls = sendMarks();
      wire.cut();
      await calls;
      await wire.close();
      await sendMarks().finally(() => wire.open());
      await until("calls are answered again", () =>
        clients[0]!.listApplications({}).then(
          () => true,
          () => false,
        ),
      );
    }
    expect(kept.text()).to.contain('"code":"UNAVAILABLE"');
    expectSilence();
  });
});
