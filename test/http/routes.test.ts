import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { HTTP, type HttpAnswer, httpOf } from "../support/http.ts";
import { describeStacks, freshPlace, type Place, type Running, start } from "../support/system.ts";

describeStacks("HTTP", (stack) => {
  let place: Place;
  let parley: Running;
  let call: ReturnType<typeof httpOf>;
  let token: string;

  before(async () => {
    place = await freshPlace(stack);
    parley = await start(place, ["api", "worker"], HTTP);
    call = httpOf(parley);
    const made = await call("POST", "/applications", { body: { application: { name: "shop" } } });
    token = made.json.application.token;
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
  });

  const chats = () => `/applications/${token}/chats`;
  const write = (body: unknown, query = "", headers = {}): Promise<HttpAnswer> =>
    call("POST", `${chats()}/1/message${query}`, { body: { message: body }, headers });

  it("creates, shows, renames and lists applications, the same ones as gRPC", async () => {
    const body = { application: { name: "test name" } };
    const made = await call("POST", "/applications", { body });
    expect(made.status).to.equal(201);
    expect(made.headers.get("content-type")).to.equal("application/json; charset=utf-8");
    expect(made.headers.get("parley-call-id")).to.match(/^[0-9a-f-]{36}$/);
    const { application } = made.json;
    expect(application).to.include({ name: "test name", chats_count: 0 });
    expect(application.create_time).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

    const path = `/applications/${application.token}`;
    const shown = await call("GET", path);
    expect(shown).to.deep.include({ status: 200, json: { application } });
    const renamed = await call("PATCH", path, { body: { application: { name: "better" } } });
    expect(renamed.status).to.equal(200);
    expect(renamed.json.application).to.include({ token: application.token, name: "better" });

    const names: string[] = [];
    for (let next: string | undefined = ""; next !== undefined; ) {
      const page: HttpAnswer = await call("GET", `/applications?page_size=1&page_token=${next}`);
      expect(page.status).to.equal(200);
      names.push(...page.json.applications.map((one: { name: string }) => one.name));
      next = page.json.next_page_token || undefined;
    }
    const listed = await parley.clients.listApplications({});
    expect(names).to.deep.equal(listed.applications.map((one) => one.name));
    expect(names).to.include.members(["shop", "better"]);
  });

  it("creates chats and messages that gRPC lists, and lists what gRPC created", async () => {
    const chat = await call("POST", `${chats()}?wait_for=STATE_PERSISTED`);
    expect(chat.status).to.equal(201);
    expect(chat.json.chat).to.include({ application_token: token, number: 1 });
    expect(chat.json.chat.state).to.equal("STATE_PERSISTED");
    await parley.clients.createChat({ applicationToken: token });
    const numbers = (await call("GET", chats())).json.chats.map((one: { number: number }) => one);
    expect(numbers.map((one: { number: number }) => one.number)).to.deep.equal([1, 2]);

    const first = await write({ message: "hello" }, "?wait_for=STATE_SEARCHABLE");
    expect(first.status).to.equal(201);
    expect(first.json.message).to.include({ number: 1, body: "hello", state: "STATE_SEARCHABLE" });
    await write({ body: "héllo wörld 😀", author: "ann" });
    await write({ message: "both", body: "both" });
    const key = { applicationToken: token, chatNumber: 1 };
    await parley.clients.createMessage({ ...key, message: { body: "by gRPC" } });
    const bodies = ["hello", "héllo wörld 😀", "both", "by gRPC"];
    const listed = await parley.clients.listMessages(key);
    expect(listed.messages.map((one) => one.body)).to.deep.equal(bodies);

    const page = await call("GET", `/messages/${token}/1?page_size=3`);
    expect(page.json.voids).to.deep.equal([]);
    const rest = await call("GET", `/messages/${token}/1?page_token=${page.json.next_page_token}`);
    const all = [...page.json.messages, ...rest.json.messages];
    expect(all.map((one) => one.body)).to.deep.equal(bodies);
    expect(all[1]).to.include({ chat_number: 1, number: 2, author: "ann", version: 1 });
  });

  it("lists messages newest first and between numbers, as gRPC does", async () => {
    for (let at = 1; at <= 5; at++) await write({ message: `message ${at}` });
    const list = (query: string) => call("GET", `/messages/${token}/1?${query}`);
    const numbersOf = ({ json }: HttpAnswer) =>
      json.messages.map((one: { number: number }) => one.number);
    const between = "order_by=number%20desc&after_number=1&before_number=5";
    const first = await list(`${between}&page_size=2`);
    expect(numbersOf(first)).to.deep.equal([4, 3]);
    const rest = await list(`${between}&page_token=${first.json.next_page_token}`);
    expect(numbersOf(rest)).to.deep.equal([2]);
    expect(numbersOf(await list("order_by=number&after_number=3&before_number=6"))).to.deep.equal([
      4, 5,
    ]);
  });

  it("finds a part of a message", async () => {
    await write({ message: "a needle & more" }, "?wait_for=STATE_SEARCHABLE");
    const found = await call("GET", `/messages/${token}/1/search?message=needle+%26&page_size=5`);
    expect(found.status).to.equal(200);
    const [result] = found.json.results;
    expect(result.message.body).to.equal("a needle & more");
    const marked = result.segments.filter((one: { match: boolean }) => one.match);
    expect(marked.map((one: { text: string }) => one.text)).to.include("needle");
    expect(found.json.indexed_through_number).to.be.at.least(1);
  });

  it("takes Idempotency-Key for the request id, also of a retry by gRPC", async () => {
    const key = randomUUID();
    const headers = { "Idempotency-Key": key };
    const first = await write({ message: "once" }, "", headers);
    const again = await write({ body: "once" }, "", headers);
    expect([first.status, again.status]).to.deep.equal([201, 200]);
    expect(again.json).to.include({ replayed: true });
    expect(again.json.message.number).to.equal(first.json.message.number);
    const byGrpc = await parley.clients.createMessage({
      applicationToken: token,
      chatNumber: 1,
      message: { body: "once" },
      requestId: key,
    });
    expect(byGrpc.message?.number).to.equal(first.json.message.number);
    const other = await write({ message: "twice" }, "", headers);
    expect(other.status).to.equal(409);
    expect(other.json.error).to.include({ code: "ALREADY_EXISTS", reason: "REQUEST_ID_REUSED" });
    expect(other.json.error.message).not.to.contain("request_id");

    const application = { application: { name: "keyed" } };
    const made = await call("POST", "/applications", { body: application, headers });
    const remade = await call("POST", "/applications", { body: application, headers });
    expect([made.status, remade.status]).to.deep.equal([201, 200]);
    expect(remade.json.application).to.deep.equal(made.json.application);
    const chat = await call("POST", chats(), { headers, body: "" });
    const rechat = await call("POST", chats(), { headers });
    expect([chat.status, rechat.status]).to.deep.equal([201, 200]);
    expect(rechat.json.chat.number).to.equal(chat.json.chat.number);
  });

  it("keeps what services need on a record, and finds a chat by its external id", async () => {
    const attributes = { topic: "orders", constructor: "any name may stand here" };
    const body = { chat: { external_id: "order-17", attributes } };
    const made = await call("POST", `${chats()}?wait_for=STATE_PERSISTED`, { body });
    const again = await call("POST", chats(), { body });
    expect([made.status, again.status]).to.deep.equal([201, 200]);
    expect(again.json).to.include({ existed: true });
    const { number } = made.json.chat;
    expect(again.json.chat).to.deep.include({ number, external_id: "order-17", attributes });

    const message = {
      body: "from elsewhere",
      attributes,
      original_time: "2020-01-01T01:00:00+01:00",
    };
    const path = `${chats()}/${number}/message?wait_for=STATE_PERSISTED`;
    expect((await call("POST", path, { body: { message } })).status).to.equal(201);
    const listed = await call("GET", `/messages/${token}/${number}`);
    const [found] = listed.json.messages;
    expect(found).to.deep.include({ attributes, original_time: "2020-01-01T00:00:00.000Z" });
  });

  it("says what is not there, with the reason", async () => {
    const stranger = randomUUID();
    const body = { message: { body: "x" } };
    const cases: [Promise<HttpAnswer>, string][] = [
      [call("GET", `/applications/${stranger}`), "APPLICATION_NOT_FOUND"],
      [call("GET", `/messages/${token}/99`), "CHAT_NOT_FOUND"],
      [call("GET", `/messages/${token}/99/search?message=x`), "CHAT_NOT_FOUND"],
      [call("POST", `${chats()}/99/message`, { body }), "CHAT_NOT_FOUND"],
      [call("POST", `/applications/${stranger}/chats`), "APPLICATION_NOT_FOUND"],
    ];
    for (const [answer, reason] of cases) {
      const { status, json } = await answer;
      expect(status).to.equal(404);
      expect(json.error).to.include({ code: "NOT_FOUND", reason });
    }
  });

  it("answers HEAD as GET, without a body", async () => {
    const { status, json, headers } = await call("HEAD", `/applications/${token}`);
    expect({ status, json }).to.deep.equal({ status: 200, json: undefined });
    expect(Number(headers.get("content-length"))).to.be.above(0);
  });
});
