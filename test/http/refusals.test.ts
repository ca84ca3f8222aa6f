import { expect } from "chai";
import { HTTP, type HttpAnswer, httpOf, type Said, sendBytes } from "../support/http.ts";
import { freshPlace, type Place, type Running, start } from "../support/system.ts";

describe("HTTP refuses", () => {
  let place: Place;
  let parley: Running;
  let call: ReturnType<typeof httpOf>;
  let token: string;
  let chat: string;

  before(async () => {
    place = await freshPlace("embedded");
    parley = await start(place, ["api", "worker"], HTTP);
    call = httpOf(parley);
    const made = await call("POST", "/applications", { body: { application: { name: "shop" } } });
    token = made.json.application.token;
    await call("POST", `/applications/${token}/chats`);
    chat = `/applications/${token}/chats/1/message`;
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
  });

  const write = (body: unknown, headers = {}) => call("POST", chat, { body, headers });
  const fieldsOf = ({ json }: HttpAnswer) =>
    Object.fromEntries(
      (json.error as Said).violations.map(({ field, description }) => [field, description]),
    );

  it("what is outside its bounds, by the name that the caller wrote", async () => {
    const uuid = "must be a UUID, or left out";
    const wait = { body: { message: { body: "x" } } };
    const search = `/messages/${token}/1/search`;
    const cases: [Promise<HttpAnswer>, string, RegExp][] = [
      [write({ message: { message: "" } }), "message.message", /1 to 16384 bytes/],
      [write({ message: { body: "" } }), "message.body", /1 to 16384 bytes/],
      [write({ message: { body: "x".repeat(16_385) } }), "message.body", /16384/],
      [write({ message: { message: "a\0b" } }), "message.message", /NUL/],
      [write({ message: { message: "a\ud800b" } }), "message.message", /surrogate/],
      [write({ message: { message: "a", body: "b" } }), "message.message", /same/],
      [write({ message: { author: "ann" } }), "message.message", /must be there/],
      [write({ message: { body: 7 } }), "message.body", /must be text/],
      [write({ message: "hello" }), "message", /must be an object/],
      [write({}), "message", /must be there/],
      [write([]), "*", /must be an object/],
      [write({ message: { body: "x", autor: "ann" } }), "message.autor", /is not known/],
      [write({ message: { body: "x", author: "x".repeat(256) } }), "message.author", /255/],
      [
        write({ message: { body: "x", original_time: "yesterday" } }),
        "message.original_time",
        /must be a time/,
      ],
      [write({ message: { body: "x" } }, { "idempotency-key": "7" }), "Idempotency-Key", /UUID/],
      [write({ message: { body: "x" } }, { "idempotency-key": "" }), "Idempotency-Key", /UUID/],
      [call("POST", `${chat}?wait_for=now`, wait), "wait_for", /STATE_PERSISTED/],
      [call("GET", "/applications/7"), "token", /lower-case UUID/],
      [call("GET", `/applications/${"7".repeat(5_000)}`), "token", /lower-case UUID/],
      [call("PATCH", `/applications/${token}`, { body: {} }), "application", /must be there/],
      [
        call("PATCH", `/applications/${token}`, { body: { application: { name: "" } } }),
        "application.name",
        /1 to 255/,
      ],
      [
        call("PATCH", "/applications/7", { body: { application: { name: "x" } } }),
        "token",
        /lower-case UUID/,
      ],
      ...["0", "-0", "-1", "1.0", "01", "1e400", "9007199254740992", "%00", "NaN"].map(
        (number): [Promise<HttpAnswer>, string, RegExp] => [
          call("GET", `/messages/${token}/${number}`),
          "number",
          /1 to 9007199254740991/,
        ],
      ),
      [call("GET", "/applications?page_size=-1"), "page_size", /must be 0 to/],
      [call("GET", "/applications?page_size=1e3"), "page_size", /must be 0 to/],
      [call("GET", "/applications?page_size="), "page_size", /must be 0 to/],
      [call("GET", "/applications?page_size=1&page_size=2"), "page_size", /must be there once/],
      [call("GET", "/applications?pagesize=1"), "pagesize", /is not known/],
      [call("GET", "/applications?__proto__=1"), "__proto__", /is not known/],
      [call("GET", "/applications?page_token=x"), "page_token", /next_page_token/],
      [call("GET", `/messages/${token}/1?order_by=body`), "order_by", /number desc/],
      [call("GET", `/messages/${token}/1?after_number=-1`), "after_number", /must be 0 to/],
      [call("GET", `/messages/${token}/1?before_number=x`), "before_number", /must be 0 to/],
      [call("GET", search), "message", /must be there/],
      [call("GET", `${search}?message=`), "message", /1 to 256/],
      [call("GET", `${search}?message=%ff`), "message", /UTF-8/],
      [call("GET", `${search}?message=a%00b`), "message", /NUL/],
    ];
    for (const [answer, field, bound] of cases) {
      const { status, json, headers } = await answer;
      expect(status, field).to.equal(400);
      expect(json.error.code).to.equal("INVALID_ARGUMENT");
      expect(json.error.call_id).to.equal(headers.get("parley-call-id"));
      const fields = fieldsOf(await answer);
      expect(fields[field], JSON.stringify(json)).to.match(bound);
      expect(json.error.message).to.contain(`${field}: ${fields[field]}`);
    }
    const named = await write({ message: { body: "x" } }, { "idempotency-key": "7" });
    expect(fieldsOf(named)).to.deep.equal({ "Idempotency-Key": uuid });
    const listed = await parley.clients.listMessages({ applicationToken: token, chatNumber: 1 });
    expect(listed.messages).to.deep.equal([]);
  });

  it("bodies that are no JSON in UTF-8, and does not fall over them", async () => {
    const bodies = [
      "{",
      "hello",
      "",
      Buffer.from([0x7b, 0xff, 0x7d]),
      "[".repeat(100_000),
      `{"message":`.repeat(8_000),
      '{"message":{"body":"x","__proto__":{"author":"y"}}}',
      "\ufeff{}",
    ];
    for (const body of bodies) {
      const answer = await write(body);
      expect(answer.status, String(body).slice(0, 50)).to.equal(400);
      expect(answer.json.error.reason).to.equal("FIELD_INVALID");
      expect(fieldsOf(answer)["*"]).to.match(/must (be JSON in UTF-8|have a body)/);
    }
  });

  it("says little of what a caller made up", async () => {
    const many = Object.fromEntries(
      Array.from({ length: 5_000 }, (_, at) => [`${at}${"x".repeat(10)}`, at]),
    );
    const { status, json } = await write(many);
    expect(status).to.equal(400);
    expect(JSON.stringify(json).length).to.be.below(3_000);
    const query = Array.from({ length: 1_000 }, (_, at) => `q${at}=1`).join("&");
    const answer = await call("GET", `/applications?${query}`);
    expect(JSON.stringify(answer.json).length).to.be.below(3_000);
  });

  it("what HTTP itself has a status for", async () => {
    const text = { "content-type": "text/plain" };
    const gzip = { "content-encoding": "gzip" };
    const [upper, whole] = [128 * 1024 + 1, 128 * 1024];
    const cases: [Promise<HttpAnswer>, number, string][] = [
      [call("GET", "/nope"), 404, "ROUTE_NOT_FOUND"],
      [call("GET", `/applications/${token}/`), 404, "ROUTE_NOT_FOUND"],
      [call("POST", "/nope", { body: "x".repeat(upper) }), 404, "ROUTE_NOT_FOUND"],
      [call("DELETE", `/applications/${token}`), 405, "METHOD_NOT_ALLOWED"],
      [call("OPTIONS", "/applications"), 405, "METHOD_NOT_ALLOWED"],
      [call("PROPFIND", "/healthz"), 405, "METHOD_NOT_ALLOWED"],
      [write("x".repeat(upper)), 413, "BODY_TOO_LARGE"],
      [write("x".repeat(whole)), 400, "FIELD_INVALID"],
      [write("x=1", text), 415, "CONTENT_TYPE_UNSUPPORTED"],
      [write("{}", { "content-type": "?" }), 415, "CONTENT_TYPE_UNSUPPORTED"],
      [write("{}", gzip), 415, "CONTENT_TYPE_UNSUPPORTED"],
      [call("GET", "/applications/%ff"), 400, "REQUEST_MALFORMED"],
    ];
    for (const [answer, expected, reason] of cases) {
      const { status, json } = await answer;
      expect({ status, reason: json.error.reason }).to.deep.equal({ status: expected, reason });
    }
    const { headers } = await call("DELETE", `/applications/${token}`);
    expect(headers.get("allow")).to.equal("GET, HEAD, PATCH");
  });

  it("takes a message of the largest size with every character escaped", async () => {
    const body = `{"message":{"message":"${"\\u0061".repeat(16_384)}"}}`;
    const answer = await write(body, { "content-type": "application/json; charset=UTF-8" });
    expect(answer.status).to.equal(201);
    expect(answer.json.message.body).to.equal("a".repeat(16_384));
  });

  it("what is no HTTP, and closes", async () => {
    const cases: [string, string][] = [
      ["hello\r\n\r\n", "400"],
      [`GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(20_000)}\r\n\r\n`, "431"],
      ["POST /applications HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", "400"],
      ["GET /healthz HTTP/1.1\r\n\r\n", "400"],
    ];
    for (const [bytes, status] of cases) {
      expect(await sendBytes(parley, bytes)).to.match(new RegExp(`^HTTP/1.1 ${status} `));
    }
  });

  it("half a request in bounded time, of its headers and of its body", async function () {
    this.timeout(20_000);
    const body = "POST /applications HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{";
    const answers = await Promise.all([
      sendBytes(parley, "GET /healthz HTTP/1.1\r\nhost: x\r\n"),
      sendBytes(parley, body),
    ]);
    for (const answer of answers) {
      expect(answer).to.match(/^HTTP\/1.1 408 /);
      expect(answer).to.contain("REQUEST_TOO_SLOW");
    }
  });
});
