import { readFileSync } from "node:fs";
import { expect } from "chai";
import {
  type ClientOptions,
  ParleyClient,
  ParleyError,
  State,
} from "../../clients/typescript/src/index.ts";
import { Wire } from "../contract/wire.ts";
import { freshFolder, makeAuthority, makeKey, until, writeKeys } from "../support/door.ts";
import { freshPlace, type Place, type Running, start, useSystem } from "../support/system.ts";

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

async function failureOf(call: Promise<unknown>): Promise<ParleyError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).to.be.instanceOf(ParleyError);
  return error as ParleyError;
}

describe("the TypeScript client", () => {
  const parley = useSystem("embedded");
  let client: ParleyClient;
  before(() => {
    client = new ParleyClient({ address: parley.target });
  });
  after(() => client.close());

  async function newChat() {
    const { token: applicationToken } = await client.applications.create({ name: "shop" });
    const { number } = await client.chats.create({ applicationToken });
    return { applicationToken, chatNumber: number };
  }

  it("creates, reads, changes and deletes", async () => {
    const { token: applicationToken } = await client.applications.create({ name: "shop" });
    const application = { applicationToken };
    expect(await client.applications.update({ ...application, name: "store" })).to.include({
      name: "store",
    });
    expect(await client.applications.get(application)).to.include({ name: "store" });
    const applications = await all(client.applications.list({ pageSize: 1 }));
    expect(applications.map(({ token }) => token)).to.include(applicationToken);

    const chat = await client.chats.create({ ...application, waitFor: State.STATE_PERSISTED });
    expect(chat).to.include({ number: 1, replayed: false, existed: false });
    expect(await client.chats.get({ ...application, number: 1 })).to.include({ number: 1 });
    const place = { ...application, chatNumber: 1 };
    const waitFor = State.STATE_SEARCHABLE;
    const hello = { ...place, body: "Hello, Straße!", author: "ann", waitFor };
    expect(await client.messages.create(hello)).to.include({ number: 1, author: "ann" });
    const [found] = await all(client.messages.search({ ...place, query: "strasse" }));
    expect(found?.message.number).to.equal(1);
    const one = { ...place, number: 1 };
    expect(await client.messages.update({ ...one, body: "Hello!" })).to.include({ version: 2 });
    expect(await client.messages.get(one)).to.include({ body: "Hello!" });
    const left = await client.messages.delete({ ...one, ifVersion: 2 });
    expect(left).to.include({ body: "" }).and.have.property("deleteTime").that.is.a("date");

    await client.chats.delete({ ...application, number: 1, force: true });
    expect(await all(client.chats.list(application))).to.deep.equal([]);
    await client.applications.delete(application);
    const gone = await failureOf(client.applications.get(application));
    expect(gone).to.include({ code: "NOT_FOUND", reason: "APPLICATION_NOT_FOUND" });
  });

  it("walks every page, and shows the pages", async () => {
    const place = await newChat();
    for (let count = 0; count < 5; count++) {
      await client.messages.create({ ...place, body: `number ${count + 1}` });
    }
    const list = client.messages.list({ ...place, pageSize: 2, orderBy: "number desc" });
    const numbers = (messages: { number: number }[]) => messages.map(({ number }) => number);
    expect(numbers(await all(list))).to.deep.equal([5, 4, 3, 2, 1]);
    const pages = await all(list.pages());
    expect(pages.map(({ messages }) => numbers(messages))).to.deep.equal([[5, 4], [3, 2], [1]]);
  });

  it("says what was wrong, where, and under which name the log has it", async () => {
    const error = await failureOf(client.messages.create({ ...(await newChat()), body: "" }));
    expect(error).to.include({ code: "INVALID_ARGUMENT", reason: "FIELD_INVALID" });
    expect(error.violations).to.deep.equal([
      { field: "message.body", description: "must be 1 to 16384 bytes of UTF-8 without NUL" },
    ]);
    expect(error.message).to.contain("message.body");
    expect(error.callId).to.match(/^[0-9a-f-]{36}$/);
    expect(error.retryMs).to.equal(undefined);
  });

  it("gives up at its own time, and when it is told to", async () => {
    const wire = await new Wire(`tcp://${parley.target}`).open();
    const far = new ParleyClient({ address: new URL(wire.href).host });
    try {
      await far.applications.list().pages().next();
      wire.silence();
      const late = await failureOf(far.applications.create({ name: "late" }, { timeoutMs: 50 }));
      expect(late).to.include({ code: "DEADLINE_EXCEEDED", reason: undefined });
      const aborting = new AbortController();
      const call = far.applications.create({ name: "shop" }, { signal: aborting.signal });
      const reason = new Error("enough");
      aborting.abort(reason);
      expect(await call.catch((error: unknown) => error)).to.equal(reason);
    } finally {
      far.close();
      await wire.close();
    }
  });

  it("goes on by the servers that answer, whether they are named or numbered", async () => {
    const near = await new Wire(`tcp://${parley.target}`).open();
    const several = new ParleyClient({
      address: [new URL(near.href).host, parley.target.replace("127.0.0.1", "localhost")],
      retries: 0,
    });
    try {
      for (let calls = 0; calls < 4; calls++) await several.applications.create({ name: "shop" });
      await near.close();
      await until("the client has noticed", () =>
        several.applications.create({ name: "shop" }).then(
          () => true,
          () => false,
        ),
      );
      for (let calls = 0; calls < 4; calls++) await several.applications.create({ name: "shop" });
    } finally {
      several.close();
      await near.close();
    }
  });

  it("names an address that is none", () => {
    const wrong = () => new ParleyClient({ address: ["127.0.0.1:50051", "somewhere"] });
    expect(wrong).to.throw(TypeError, 'address: "somewhere" is not host:port');
  });

  it("does nothing after it was closed", async () => {
    const closed = new ParleyClient({ address: parley.target });
    closed.close();
    const call = closed.applications.create({ name: "shop" });
    expect(await call.catch(String)).to.equal("Error: this client is closed");
  });
});

describe("the retries of the TypeScript client", () => {
  let place: Place;
  let parley: Running;
  let client: ParleyClient;
  let wire: Wire;

  const begin = async (env: Record<string, string>, options: Partial<ClientOptions> = {}) => {
    place = await freshPlace("embedded");
    // Nothing is stored without a worker, so whoever waits for that waits.
    parley = await start(place, ["api"], env);
    wire = await new Wire(`tcp://${parley.target}`).open();
    client = new ParleyClient({ address: new URL(wire.href).host, ...options });
  };
  afterEach(async () => {
    client.close();
    await wire.close();
    await parley.stop();
    await place.drop();
  });

  it("create nothing twice where the answer was lost", async () => {
    await begin({});
    const { token: applicationToken } = await client.applications.create({ name: "shop" });
    const call = client.chats.create(
      { applicationToken, waitFor: State.STATE_PERSISTED },
      { timeoutMs: 2_000 },
    );
    const { clients } = parley;
    await until("the chat has its number", async () => {
      const { chats } = await clients.listChats({ applicationToken });
      return chats.length === 1;
    });
    wire.cut();
    expect(await call).to.include({ number: 1, replayed: true });
    expect((await clients.listChats({ applicationToken })).chats).to.have.length(1);
  });

  it("wait where the server bounds the calls, as long as it says and the time allows", async () => {
    await begin({ PARLEY_RATE_LIMIT: "1", PARLEY_RATE_BURST: "1" });
    const { token: applicationToken } = await client.applications.create({ name: "shop" });
    const create = (options = {}) => client.chats.create({ applicationToken }, options);
    await create();
    // The server says to wait longer than this call has.
    const refused = await failureOf(create({ timeoutMs: 500 }));
    expect(refused).to.include({ code: "RESOURCE_EXHAUSTED", reason: "RATE_LIMITED" });
    expect(refused.retryMs).to.be.above(0);
    expect(await create()).to.include({ number: 2 });
  });
});

describe("the TypeScript client at a server with TLS and keys", () => {
  const folder = freshFolder();
  after(() => folder.drop());

  it("shows its key and its certificate, and believes the right server only", async () => {
    const [ours, theirs] = await Promise.all([
      makeAuthority(folder.path, "ours"),
      makeAuthority(folder.path, "theirs"),
    ]);
    const [server, caller] = await Promise.all([ours.issue("server"), ours.issue("caller")]);
    const { key, entry } = makeKey();
    writeKeys(folder.path("keys.json"), [entry]);
    const place = await freshPlace("embedded");
    const parley = await start(place, ["api"], {
      PARLEY_KEYS_FILE: folder.path("keys.json"),
      PARLEY_TLS_CERT_FILE: server.certFile,
      PARLEY_TLS_KEY_FILE: server.keyFile,
      PARLEY_TLS_CLIENT_CA_FILE: ours.certFile,
    });
    const tls = {
      ca: readFileSync(ours.certFile),
      cert: readFileSync(caller.certFile),
      key: readFileSync(caller.keyFile),
    };
    const create = async (options: Partial<ClientOptions>) => {
      const client = new ParleyClient({ address: parley.target, retries: 0, ...options });
      await client.applications.create({ name: "shop" }).finally(() => client.close());
    };
    try {
      await create({ tls, key });
      // The certificate is for localhost and 127.0.0.1 alone, and one of the addresses is enough.
      await create({
        tls,
        key,
        address: [parley.target, parley.target.replace(/^[^:]+/, "localhost")],
      });
      expect(await failureOf(create({ tls }))).to.include({ reason: "KEY_INVALID" });
      const strange = { ...tls, ca: readFileSync(theirs.certFile) };
      expect(await failureOf(create({ tls: strange, key }))).to.include({ code: "UNAVAILABLE" });
    } finally {
      await parley.stop();
      await place.drop();
    }
  });
});
