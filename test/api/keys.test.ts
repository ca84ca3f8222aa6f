import { randomUUID } from "node:crypto";
import { renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { expect } from "chai";
import { ChatServiceService } from "../../clients/typescript/src/contract.ts";
import { newKey, parseKeyFile } from "../../src/api/keys.ts";
import {
  everyCall,
  everyRoute,
  freshFolder,
  inTheClear,
  keepLog,
  makeKey,
  secretOf,
  until,
  withKey,
  writeKeys,
} from "../support/door.ts";
import {
  type Clients,
  freshPlace,
  openClients,
  type Place,
  type Running,
  refusalOf,
  start,
} from "../support/system.ts";

const INVALID = { code: status.UNAUTHENTICATED, reason: "KEY_INVALID" };
const MISSING = { code: status.PERMISSION_DENIED, reason: "SCOPE_MISSING" };

describe("keys", () => {
  const folder = freshFolder();
  const file = folder.path("keys.json");
  const root = makeKey({ comment: "root" });
  const opened: Clients[] = [];
  const kept = keepLog();
  let place: Place;
  let parley: Running;
  let mine: string;
  let other: string;

  /** Clients with a key that the server knows from here on. */
  const clientsOf = (connection = root.connection): Clients => {
    const clients = openClients(parley.target, connection);
    opened.push(clients);
    return clients;
  };

  before(async () => {
    writeKeys(file, [root.entry]);
    place = await freshPlace("embedded");
    const env = { PARLEY_KEYS_FILE: file };
    const { log } = kept;
    parley = await start(place, undefined, env, { log, connection: root.connection });
    const create = async (name: string) =>
      (await parley.clients.createApplication({ application: { name } })).application!.token;
    [mine, other] = [await create("mine"), await create("other")];
    for (const applicationToken of [mine, other]) {
      await parley.clients.createChat({ applicationToken });
      const message = { body: "body" };
      await parley.clients.createMessage({ applicationToken, chatNumber: 1, message });
    }
  });
  after(async () => {
    for (const one of opened) one.close();
    await parley?.stop();
    await place?.drop();
    folder.drop();
  });

  /** Gives the server a file, and waits until it knows its first key. */
  async function know(...keys: ReturnType<typeof makeKey>[]): Promise<void> {
    const mark = makeKey();
    writeKeys(file, [root.entry, mark.entry, ...keys.map((one) => one.entry)]);
    await knows(mark);
  }

  async function knows(key: ReturnType<typeof makeKey>): Promise<void> {
    const clients = clientsOf(key.connection);
    await until("the key is known", () =>
      clients.listApplications({}).then(
        () => true,
        () => false,
      ),
    );
  }

  it("are asked for by every call, before anything of its request is looked at", async () => {
    const stranger = makeKey();
    const wrong = [
      undefined,
      stranger.key,
      `parley_${root.entry.id}_${"A".repeat(43)}`,
      `${root.key}x`,
      `parley_${secretOf(root.key)}`,
      root.entry.hash,
      "x".repeat(4_000),
    ];
    for (const key of wrong) {
      const { calls, close } = everyRoute(parley.target, key, mine);
      expect(calls).to.have.length.above(10);
      for (const { call } of calls) expect(await refusalOf(call())).to.include(INVALID);
      close();
    }
    const clients = clientsOf(inTheClear);
    expect(await refusalOf(clients.getApplication({ applicationToken: "no token" }))).to.include(
      INVALID,
    );
  });

  it("come as `authorization: Bearer`, in any case of that word", async () => {
    const client = new Client(parley.target, credentials.createInsecure());
    const { path, requestSerialize, responseDeserialize } = ChatServiceService.listChats;
    const call = (request: Buffer, value?: string) => {
      const metadata = new Metadata();
      if (value !== undefined) metadata.add("authorization", value);
      return new Promise((resolve, reject) => {
        const done = (error: ServiceError | null, answer: unknown) =>
          error === null ? resolve(answer) : reject(error);
        client.makeUnaryRequest(path, (one) => one, responseDeserialize, request, metadata, done);
      });
    };
    const request = requestSerialize({ applicationToken: mine, pageSize: 0, pageToken: "" });
    try {
      for (const good of [`Bearer ${root.key}`, `bearer ${root.key}`, `BEARER  ${root.key}`]) {
        await call(request, good);
      }
      const bearer = `Bearer ${root.key}`;
      for (const bad of [root.key, `Basic ${root.key}`, `${bearer}, ${bearer}`, "Bearer", ""]) {
        expect(await refusalOf(call(request, bad)), bad).to.include(INVALID);
      }
      // What is no protobuf at all is not even tried without a key.
      const noise = Buffer.from("ffffffffff", "hex");
      expect(await refusalOf(call(noise))).to.include(INVALID);
      const refusal = await refusalOf(call(noise, `Bearer ${root.key}`));
      expect(refusal.reason).to.equal("FIELD_INVALID");
    } finally {
      client.close();
    }
  });

  it("that may only read do not write, and the other way round", async () => {
    const reader = makeKey({ readOnly: true });
    const written = newKey({ scopes: ["write"] });
    const writer = { ...written, connection: withKey(written.key) };
    await know(reader, writer);
    for (const key of [reader, writer]) {
      const { reads, writes, unbound } = everyCall(clientsOf(key.connection), mine);
      const { createApplication, listApplications } = unbound;
      const readers = [...Object.values(reads), listApplications];
      const writers = [...Object.values(writes), createApplication];
      for (const call of key === reader ? readers : writers) await call();
      const { calls, close } = everyRoute(parley.target, key.key, mine);
      for (const { rpc, access, call } of calls) {
        expect(access.scope, rpc).to.equal(/^(get|list|search|watch)/.test(rpc) ? "read" : "write");
        if (access.scope === (key === reader ? "read" : "write")) continue;
        expect(await refusalOf(call()), rpc).to.include(MISSING);
      }
      close();
    }
  });

  it("that are bound to applications reach these, and cannot tell which others exist", async () => {
    const bound = makeKey({ applications: [mine] });
    await know(bound);
    const clients = clientsOf(bound.connection);
    const { reads, writes, unbound } = everyCall(clients, mine);
    for (const call of Object.values({ ...reads, ...writes })) await call();
    for (const call of Object.values(unbound)) {
      expect(await refusalOf(call())).to.include(MISSING);
    }
    const answers = new Set<string>();
    for (const token of [other, randomUUID(), mine.toUpperCase(), "no token", ""]) {
      const { calls, close } = everyRoute(parley.target, bound.key, token);
      for (const { rpc, call } of calls) {
        const refusal = await refusalOf(call());
        expect(refusal, rpc).to.include(MISSING);
        if (rpc in unbound) continue;
        answers.add(JSON.stringify(refusal));
      }
      close();
    }
    answers.add(JSON.stringify(await refusalOf(clients.updateApplication({}))));
    expect([...answers]).to.have.length(1);
  });

  it("expire", async () => {
    const dayMs = 24 * 60 * 60 * 1_000;
    const expired = makeKey({ expireDays: 1 }, Date.now() - dayMs - 1);
    const young = makeKey({ expireDays: 1 }, Date.now() - dayMs + 60_000);
    await know(expired, young);
    await clientsOf(young.connection).listApplications({});
    const refusal = await refusalOf(clientsOf(expired.connection).listApplications({}));
    expect(refusal).to.include(INVALID);
    expect(refusal.message).to.contain("expired");
  });

  it("are exchanged while calls run, and no call with a valid key fails", async () => {
    let running = true;
    let calls = 0;
    const caller = async (clients: Clients) => {
      while (running) {
        await clients.getApplication({ applicationToken: mine });
        calls++;
      }
    };
    const callers = Array.from({ length: 8 }, () => caller(clientsOf()));
    const all = Promise.all(callers);
    const former = makeKey();
    await know(former);
    // In place, as an editor may do it: the first half, then all of it.
    const next = makeKey();
    const text = JSON.stringify({ keys: [root.entry, former.entry, next.entry] }, undefined, 2);
    writeFileSync(file, text.slice(0, text.length / 2));
    writeFileSync(file, text);
    await knows(next);
    // The file of a mounted secret is a link, and another one is put in its place.
    const last = makeKey();
    writeKeys(folder.path("other.json"), [root.entry, next.entry, last.entry]);
    symlinkSync(folder.path("other.json"), folder.path("link"));
    renameSync(folder.path("link"), file);
    await knows(last);
    expect(await refusalOf(clientsOf(former.connection).listApplications({}))).to.include(INVALID);
    rmSync(file);
    running = false;
    await all;
    expect(calls).to.be.above(8);
  });

  it("stay as they were when a new file is broken or gone, and the log says so", async () => {
    await know();
    const marked = makeKey();
    const faults: [() => void, RegExp][] = [
      [() => writeFileSync(file, marked.key), /PARLEY_KEYS_FILE is no JSON/],
      [() => writeFileSync(file, JSON.stringify({ keys: [{ [marked.key]: 1 }] })), /keys\[0\]/],
      [() => rmSync(file), /PARLEY_KEYS_FILE cannot be read: ENOENT/],
    ];
    for (const [breakIt, fault] of faults) {
      breakIt();
      await until("the log has the fault", () => fault.test(kept.text()));
      await parley.clients.listApplications({});
    }
    await know(marked);
    await clientsOf(marked.connection).listApplications({});
    expect(kept.text()).to.contain('"a changed file is in use"');
    for (const { key, entry } of [marked, root]) {
      expect(kept.text()).not.to.contain(secretOf(key));
      expect(kept.text()).not.to.contain(entry.hash.split(":")[1]!);
    }
  });

  it("are named by their ids in the log lines of their calls", async () => {
    await parley.clients.listApplications({});
    const lines = kept.text().split("\n");
    const line = lines.filter((one) => one.includes("ListApplications")).pop()!;
    expect(JSON.parse(line)).to.include({ key: root.entry.id, code: "OK" });
  });
});

describe("a file of keys", () => {
  const { entry } = makeKey({ comment: "a shop" });
  const wrong: [unknown, string][] = [
    ["", "must be an object"],
    [{}, "keys must be a list"],
    [{ keys: [], more: 1 }, "has a field that is not known"],
    [{ keys: [{ ...entry, expires: "never" }] }, "keys[0] has a field that is not known"],
    [{ keys: [{ ...entry, id: "A" }] }, "keys[0].id must be 4 to 32 characters of a-z and 0-9"],
    [{ keys: [{ ...entry, hash: "x" }] }, "keys[0].hash must be sha256:"],
    [{ keys: [{ ...entry, scopes: [] }] }, "keys[0].scopes must have read, write or both"],
    [{ keys: [{ ...entry, scopes: ["all"] }] }, "keys[0].scopes[0] must be read or write"],
    [{ keys: [{ ...entry, applications: [] }] }, "keys[0].applications must name an application"],
    [{ keys: [{ ...entry, applications: ["x"] }] }, "keys[0].applications[0] must be a lower-case"],
    [{ keys: [{ ...entry, expireTime: "soon" }] }, "keys[0].expireTime must be a time such as"],
    [{ keys: [entry, entry] }, "keys[1].id is there twice"],
  ];
  for (const [content, fault] of wrong) {
    it(`is refused where it ${fault}`, () => {
      expect(() => parseKeyFile(JSON.stringify(content))).to.throw(fault);
    });
  }

  it("may be empty of keys: then nobody gets in", () => {
    expect(parseKeyFile('{"keys": []}')).to.deep.equal([]);
  });
});
