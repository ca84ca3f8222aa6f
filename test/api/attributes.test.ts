import { randomUUID } from "node:crypto";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { expect } from "chai";
import { CreateMessageRequest, Message, State } from "../../clients/typescript/src/contract.ts";
import { openRawCalls, type RawCalls } from "../support/raw-calls.ts";
import { describeStacks, refusalOf, useSystem } from "../support/system.ts";
import { AWKWARD_TEXTS } from "../support/texts.ts";

describeStacks("attributes and original times", (stack) => {
  const parley = useSystem(stack);
  let key: { applicationToken: string; chatNumber: number };
  let raw: RawCalls;

  before(() => {
    raw = openRawCalls(parley.target);
  });
  after(() => raw?.close());
  beforeEach(async () => {
    const answer = await parley.clients.createApplication({ application: { name: "attributes" } });
    const applicationToken = answer.application!.token;
    await parley.clients.createChat({ applicationToken });
    key = { applicationToken, chatNumber: 1 };
  });

  const say = (message: object, more: object = {}) =>
    parley.clients.createMessage({ ...key, message: { body: "x", ...message }, ...more });
  const AWKWARD = Object.fromEntries(
    AWKWARD_TEXTS.map((text, at) => [[...text].slice(0, 60).join(""), AWKWARD_TEXTS.at(-at)!]),
  );

  it("come back everywhere, before and after they are stored", async () => {
    const originalTime = new Date("2009-02-13T23:31:30.123Z");
    for (const attributes of [AWKWARD, { constructor: "", toString: "x", 2: "b", 10: "a" }]) {
      const waits = [State.STATE_ACCEPTED, State.STATE_SEARCHABLE];
      for (const waitFor of waits) {
        const { message } = await say({ attributes, originalTime }, { waitFor });
        expect(message).to.deep.include({ attributes, originalTime });
        const got = await parley.clients.getMessage({ ...key, number: message!.number });
        expect(got.message).to.deep.include({ attributes, originalTime });
      }
    }
    const listed = await parley.clients.listMessages(key);
    const found = await parley.clients.searchMessages({ ...key, query: "x" });
    expect(found.results.length).to.be.above(1);
    for (const one of [...listed.messages, ...found.results.map((result) => result.message!)]) {
      expect(one.originalTime).to.deep.equal(originalTime);
      expect(Object.keys(one.attributes).length).to.be.above(3);
    }
    const plain = await say({}, { waitFor: State.STATE_PERSISTED });
    const got = await parley.clients.getMessage({ ...key, number: plain.message!.number });
    expect(got.message).to.deep.include({ attributes: {}, originalTime: undefined });
  });

  it("take what is within their bounds, and nothing else", async () => {
    const fits = [
      { attributes: { ["k".repeat(64)]: "v".repeat(1_984) } },
      { attributes: { ["😀".repeat(64)]: "" } },
      { attributes: Object.fromEntries(Array.from({ length: 32 }, (_, at) => [`${at}`, "x"])) },
      { originalTime: new Date(0) },
      { originalTime: new Date("9999-12-31T23:59:59.999Z") },
    ];
    for (const one of fits) {
      const { message } = await say(one, { waitFor: State.STATE_PERSISTED });
      const got = await parley.clients.getMessage({ ...key, number: message!.number });
      expect(got.message).to.deep.include(one);
    }
    const refused: [object, string][] = [
      [{ attributes: { ["k".repeat(65)]: "" } }, "message.attributes"],
      [{ attributes: { "": "x" } }, "message.attributes"],
      [{ attributes: { "a\0": "x" } }, "message.attributes"],
      [{ attributes: { a: "\0" } }, "message.attributes"],
      [{ attributes: { a: "é".repeat(1_024) } }, "message.attributes"],
      [
        { attributes: Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`${at}`, "x"])) },
        "message.attributes",
      ],
      [{ originalTime: new Date(-1) }, "message.original_time"],
      [{ originalTime: new Date(253_402_300_800_000) }, "message.original_time"],
    ];
    for (const [one, field] of refused) {
      const refusal = await refusalOf(say(one));
      expect(Object.keys(refusal.violations), JSON.stringify(one)).to.deep.equal([field]);
      expect(refusal.violations[field]).to.match(/^must be .*(2048 bytes|1970)/);
    }
    const chat = { attributes: { "": "" }, externalId: "x".repeat(256) };
    const { applicationToken } = key;
    const refusal = await refusalOf(parley.clients.createChat({ applicationToken, chat }));
    expect(Object.keys(refusal.violations)).to.have.members([
      "chat.attributes",
      "chat.external_id",
    ]);
  });

  it("name what no object or no text can be, in place of losing it", async () => {
    const entry = (name: Uint8Array) => {
      const map = new BinaryWriter().tag(1, 2).bytes(name).tag(2, 2).string("x").finish();
      const message = new BinaryWriter().tag(4, 2).string("body").tag(10, 2).bytes(map).finish();
      const plain = CreateMessageRequest.encode(CreateMessageRequest.fromPartial(key)).finish();
      return Buffer.concat([plain, new BinaryWriter().tag(3, 2).bytes(message).finish()]);
    };
    const call = "/parley.v1.MessageService/CreateMessage";
    const keyless = await raw.send(call, entry(Buffer.from("__proto__")));
    expect(keyless.refusal?.violations).to.deep.equal({
      "message.attributes": "must not have the key __proto__",
    });
    const broken = await raw.send(call, entry(Uint8Array.of(0xff)));
    expect(broken.refusal?.violations).to.have.key("message.attributes");
    const { message } = await say({ body: "__proto__", attributes: { a: "__proto__" } });
    expect(message).to.deep.include({ body: "__proto__", attributes: { a: "__proto__" } });
    expect(Message.encode(message!).finish()).to.have.length.above(10);
  });

  it("are part of what a request id is for", async () => {
    const requestId = randomUUID();
    const sent = { attributes: { a: "1", b: "2" }, originalTime: new Date(5) };
    const first = await say(sent, { requestId });
    const again = await say({ ...sent, attributes: { b: "2", a: "1" } }, { requestId });
    expect(again).to.deep.include({ replayed: true });
    expect(again.message).to.deep.include({ number: first.message!.number, ...sent });
    for (const other of [{}, { ...sent, attributes: {} }, { attributes: sent.attributes }]) {
      expect((await refusalOf(say(other, { requestId }))).reason).to.equal("REQUEST_ID_REUSED");
    }
  });

  it("count in the size of a page", async () => {
    const attributes = { a: "x".repeat(2_000) };
    const message = { body: "y".repeat(2_000), attributes };
    const { applicationToken } = key;
    for (let at = 0; at < 2; at++) {
      const waitFor = at === 1 ? State.STATE_PERSISTED : State.STATE_ACCEPTED;
      const messages = Array(500).fill(message);
      await parley.clients.batchCreateMessages({ ...key, messages, waitFor });
    }
    const page = await parley.clients.listMessages({ ...key, pageSize: 1_000 });
    expect(page.messages.length).to.be.within(500, 999);
    const chats = await parley.clients.listChats({ applicationToken, pageSize: 1_000 });
    expect(chats.chats).to.have.length(1);
  });
});
