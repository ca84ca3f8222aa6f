import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import { describeStacks, refusalOf, useSystem } from "../support/system.ts";

describeStacks("messages", (stack) => {
  const parley = useSystem(stack);
  let key: { applicationToken: string; chatNumber: number };

  beforeEach(async () => {
    const answer = await parley.clients.createApplication({ application: { name: "messages" } });
    const applicationToken = answer.application!.token;
    const { chat } = await parley.clients.createChat({ applicationToken });
    key = { applicationToken, chatNumber: chat!.number };
  });

  const say = (body: string, more: object = {}) =>
    parley.clients.createMessage({ ...key, message: { body, author: "ann" }, ...more });

  async function listAll(request: object = {}) {
    const bodies: number[] = [];
    let pageToken = "";
    do {
      const page = await parley.clients.listMessages({ ...key, ...request, pageToken });
      bodies.push(...page.messages.map((one) => one.number));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return bodies;
  }

  it("shows a message at once, before and after its row is written", async () => {
    const { message } = await say("hello");
    expect(message).to.include({ ...key, number: 1, body: "hello", author: "ann" });
    const got = await parley.clients.getMessage({ ...key, number: 1 });
    expect({ ...got.message, state: 0 }).to.deep.equal({ ...message, state: 0 });
    expect(await listAll()).to.deep.equal([1]);
    const waited = await say("wait", { waitFor: State.STATE_PERSISTED });
    expect(waited.message!.state).to.equal(State.STATE_PERSISTED);
    const row = await parley.clients.getMessage({ ...key, number: 2 });
    expect(row.message).to.deep.equal(waited.message);
  });

  it("waits for STATE_SEARCHABLE, after which a search finds it", async () => {
    const { message } = await say("needle", { waitFor: State.STATE_SEARCHABLE });
    expect(message!.state).to.equal(State.STATE_SEARCHABLE);
    const found = await parley.clients.searchMessages({ ...key, query: "eedl" });
    expect(found.results.map((one) => one.message!.number)).to.deep.equal([1]);
    expect(found.indexedThroughNumber).to.equal(1);
  });

  it("keeps bodies and authors byte for byte", async () => {
    const bodies = [
      " leading and trailing ",
      "é", // composed
      "e\u0301", // decomposed
      "👩‍👩‍👧‍👦 😀",
      "\u202eright to left\u202c",
      "line\nbreak\r\n\ttab",
      "a".repeat(16_384),
      "😀".repeat(4_096),
      "\uFDFA".repeat(5_461),
      "'; DROP TABLE messages; -- \\ \" ` % _",
      "\u001c\u001f\ufeff\uffff",
    ];
    for (const body of bodies) await say(body, { message: { body, author: body.slice(0, 100) } });
    await say("last", { waitFor: State.STATE_PERSISTED });
    const { messages } = await parley.clients.listMessages({ ...key, pageSize: 1_000 });
    expect(messages.slice(0, -1).map((one) => one.body)).to.deep.equal(bodies);
    expect(messages[0]!.author).to.equal(" leading and trailing ");
  });

  it("gives 64 callers at once, 100 messages each, exactly the numbers 1 to 6400", async () => {
    const given: number[] = [];
    const caller = async () => {
      for (let at = 0; at < 100; at++) given.push((await say(`message ${at}`)).message!.number);
    };
    await Promise.all(Array.from({ length: 64 }, caller));
    const dense = Array.from({ length: 6_400 }, (_, at) => at + 1);
    expect(given.sort((a, b) => a - b)).to.deep.equal(dense);
    expect(await listAll({ pageSize: 1_000 })).to.deep.equal(dense);
  }).timeout(60_000);

  it("lists both ways, between bounds, in pages that neither repeat nor miss", async () => {
    for (let at = 1; at <= 25; at++) await say(`number ${at}`);
    const up = Array.from({ length: 25 }, (_, at) => at + 1);
    const down = [...up].reverse();
    expect(await listAll({ pageSize: 4 })).to.deep.equal(up);
    expect(await listAll({ pageSize: 4, orderBy: "number desc" })).to.deep.equal(down);
    expect(await listAll({ pageSize: 3, afterNumber: 5, beforeNumber: 20 })).to.deep.equal(
      up.slice(5, 19),
    );
    expect(
      await listAll({ pageSize: 3, afterNumber: 5, beforeNumber: 20, orderBy: "number desc" }),
    ).to.deep.equal(up.slice(5, 19).reverse());
    expect(await listAll({ afterNumber: 25 })).to.deep.equal([]);
  });

  it("ends a page before it outgrows what a client accepts", async () => {
    const body = "x".repeat(16_384);
    for (let at = 0; at < 300; at++) await say(body);
    const first = await parley.clients.listMessages({ ...key, pageSize: 1_000 });
    expect(first.messages.length).to.be.within(100, 299);
    expect(await listAll({ pageSize: 1_000 })).to.have.length(300);
  });

  it("binds page tokens to the chat, order and bounds that they were made for", async () => {
    for (let at = 0; at < 3; at++) await say("x");
    const { nextPageToken } = await parley.clients.listMessages({ ...key, pageSize: 1 });
    expect(nextPageToken).to.match(/^[A-Za-z0-9_-]+$/);
    const { chat } = await parley.clients.createChat({ applicationToken: key.applicationToken });
    for (const change of [
      { chatNumber: chat!.number },
      { orderBy: "number desc" },
      { afterNumber: 1 },
      { pageToken: `${nextPageToken}A` },
      { pageToken: "MS4y" },
    ]) {
      const refusal = await refusalOf(
        parley.clients.listMessages({ ...key, pageToken: nextPageToken, ...change }),
      );
      expect(refusal.code).to.equal(status.INVALID_ARGUMENT);
      expect(refusal.reason).to.equal("PAGE_TOKEN_INVALID");
      expect(refusal.violations).to.have.key("page_token");
    }
    const next = await parley.clients.listMessages({
      ...key,
      pageToken: nextPageToken,
      pageSize: 2,
    });
    expect(next.messages.map((one) => one.number)).to.deep.equal([2, 3]);
  });

  it("returns the first answer for a request id that comes again, and uses no number", async () => {
    const requestId = randomUUID();
    const first = await say("once", { requestId });
    const again = await say("once", { requestId });
    expect(again.replayed).to.equal(true);
    expect({ ...again.message, state: 0 }).to.deep.equal({ ...first.message, state: 0 });
    const refusal = await refusalOf(say("other", { requestId }));
    expect(refusal.code).to.equal(status.ALREADY_EXISTS);
    expect(refusal.reason).to.equal("REQUEST_ID_REUSED");
    expect((await say("next")).message!.number).to.equal(2);
  });

  it("gives one number to many callers with one request id at once", async () => {
    const requestId = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 32 }, () => say("raced", { requestId })),
    );
    expect(new Set(answers.map((one) => one.message!.number))).to.deep.equal(new Set([1]));
    expect(answers.filter((one) => !one.replayed).length).to.equal(1);
  });

  it("says MESSAGE_NOT_FOUND for a number that was not given", async () => {
    const refusal = await refusalOf(parley.clients.getMessage({ ...key, number: 1 }));
    expect(refusal.code).to.equal(status.NOT_FOUND);
    expect(refusal.reason).to.equal("MESSAGE_NOT_FOUND");
    expect(await listAll()).to.deep.equal([]);
  });
});
