import { randomUUID } from "node:crypto";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { credentials, makeGenericClientConstructor, status } from "@grpc/grpc-js";
import { expect } from "chai";
import {
  freshPlace,
  type Place,
  type Refusal,
  type Running,
  refusalOf,
  start,
} from "../support/system.ts";

describe("bounds of requests", () => {
  let place: Place;
  let parley: Running;
  let key: { applicationToken: string; chatNumber: number };

  before(async () => {
    place = await freshPlace("embedded");
    parley = await start(place);
    const answer = await parley.clients.createApplication({ application: { name: "bounds" } });
    const applicationToken = answer.application!.token;
    await parley.clients.createChat({ applicationToken });
    key = { applicationToken, chatNumber: 1 };
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
  });

  function expectInvalid(refusal: Refusal, field: string, bound: RegExp): void {
    expect(refusal.code).to.equal(status.INVALID_ARGUMENT);
    expect(refusal.reason).to.equal("FIELD_INVALID");
    expect(refusal.violations[field]).to.match(bound);
  }

  it("names the field and the bound for everything outside it", async () => {
    const { clients } = parley;
    const cases: [() => Promise<unknown>, string, RegExp][] = [
      [
        () => clients.createApplication({ application: { name: "" } }),
        "application.name",
        /1 to 255/,
      ],
      [
        () => clients.createApplication({ application: { name: "x".repeat(256) } }),
        "application.name",
        /255/,
      ],
      [
        () => clients.createApplication({ application: { name: "😀".repeat(256) } }),
        "application.name",
        /255/,
      ],
      [
        () => clients.createApplication({ application: { name: "a\0b" } }),
        "application.name",
        /NUL/,
      ],
      [() => clients.createApplication({}), "application", /there/],
      [
        () => clients.createApplication({ application: { name: "x" }, requestId: "7" }),
        "request_id",
        /UUID/,
      ],
      [() => clients.getApplication({ applicationToken: "nope" }), "application_token", /UUID/],
      [
        () => clients.getApplication({ applicationToken: randomUUID().toUpperCase() }),
        "application_token",
        /lower-case/,
      ],
      [() => clients.listApplications({ pageSize: -1 }), "page_size", /0/],
      [() => clients.listApplications({ pageToken: "x".repeat(2_000) }), "page_token", /1024/],
      [() => clients.updateApplication({}), "application", /there/],
      [
        () => clients.updateApplication({ application: { token: key.applicationToken, name: "" } }),
        "application.name",
        /1 to 255/,
      ],
      [
        () => clients.createChat({ applicationToken: key.applicationToken, waitFor: 4 }),
        "wait_for",
        /STATE_/,
      ],
      [
        () => clients.createChat({ applicationToken: key.applicationToken, waitFor: 99 as 0 }),
        "wait_for",
        /STATE_/,
      ],
      [
        () => clients.getChat({ applicationToken: key.applicationToken, number: 0 }),
        "number",
        /1 to/,
      ],
      [
        () => clients.getChat({ applicationToken: key.applicationToken, number: -1 }),
        "number",
        /1 to/,
      ],
      [() => clients.createMessage({ ...key }), "message", /there/],
      [
        () => clients.createMessage({ ...key, message: { body: "" } }),
        "message.body",
        /1 to 16384 bytes/,
      ],
      [() => clients.createMessage({ ...key, message: { body: "a\0" } }), "message.body", /NUL/],
      [
        () => clients.createMessage({ ...key, message: { body: "x".repeat(16_385) } }),
        "message.body",
        /16384/,
      ],
      [
        () => clients.createMessage({ ...key, message: { body: "é".repeat(8_193) } }),
        "message.body",
        /16384/,
      ],
      [
        () => clients.createMessage({ ...key, message: { body: "x", author: "a".repeat(256) } }),
        "message.author",
        /255/,
      ],
      [
        () => clients.createMessage({ ...key, chatNumber: 0, message: { body: "x" } }),
        "chat_number",
        /1 to/,
      ],
      [() => clients.listMessages({ ...key, orderBy: "body" }), "order_by", /number desc/],
      [() => clients.listMessages({ ...key, afterNumber: -5 }), "after_number", /0/],
      [() => clients.searchMessages({ ...key, query: "" }), "query", /1 to 256/],
      [() => clients.searchMessages({ ...key, query: "x".repeat(257) }), "query", /256/],
      [() => clients.searchMessages({ ...key, query: " \u0301 " }), "query", /at least one/],
    ];
    for (const [call, field, bound] of cases) expectInvalid(await refusalOf(call()), field, bound);
    const { messages } = await parley.clients.listMessages(key);
    expect(messages).to.deep.equal([]);
  });

  it("names every field that is wrong, not the first alone", async () => {
    const refusal = await refusalOf(
      parley.clients.createMessage({ applicationToken: "x", chatNumber: 0, message: { body: "" } }),
    );
    expect(Object.keys(refusal.violations)).to.have.members([
      "application_token",
      "chat_number",
      "message.body",
    ]);
  });

  it("lowers a page size above 1,000 to 1,000", async () => {
    const { nextPageToken } = await parley.clients.listApplications({ pageSize: 2_147_483_647 });
    expect(nextPageToken).to.equal("");
  });

  /** Sends bytes of our own making, which no generated client would. */
  function sendRaw(method: string, bytes: Uint8Array): Promise<unknown> {
    const Raw = makeGenericClientConstructor({}, "Raw");
    const client = new Raw(parley.target, credentials.createInsecure());
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method,
        () => Buffer.from(bytes),
        (answer) => answer,
        {},
        (error, answer) => {
          client.close();
          if (error === null) resolve(answer);
          else reject(error);
        },
      );
    });
  }

  it("says once that a mask has too many paths, however many it has", async () => {
    const application = { token: key.applicationToken, name: "x" };
    for (const path of ["wrong", "name"]) {
      const updateMask = Array<string>(200_000).fill(path);
      const refusal = await refusalOf(
        parley.clients.updateApplication({ application, updateMask }),
      );
      expectInvalid(refusal, "update_mask", /at most 32 paths/);
      expect(Object.keys(refusal.violations)).to.have.length(1);
    }
  });

  it("answers a number beyond 2^53 with INVALID_ARGUMENT that names it", async () => {
    const bytes = new BinaryWriter()
      .uint32(10)
      .string(key.applicationToken)
      .uint32(16)
      .int64(2n ** 53n)
      .finish();
    const refusal = await refusalOf(sendRaw("/parley.v1.ChatService/GetChat", bytes));
    expectInvalid(refusal, "number", /9007199254740991/);
  });

  it("refuses invalid UTF-8 before a number is given, and names the field", async () => {
    const message = new BinaryWriter()
      .uint32(34)
      .bytes(Uint8Array.of(0x61, 0xff, 0xfe))
      .finish();
    const bytes = new BinaryWriter()
      .uint32(10)
      .string(key.applicationToken)
      .uint32(16)
      .int64(1)
      .uint32(26)
      .bytes(message)
      .finish();
    const refusal = await refusalOf(sendRaw("/parley.v1.MessageService/CreateMessage", bytes));
    expectInvalid(refusal, "message.body", /UTF-8/);
    expect((await parley.clients.listMessages(key)).messages).to.deep.equal([]);
  });

  it("answers bytes that are no protobuf message with INVALID_ARGUMENT", async () => {
    const refusal = await refusalOf(
      sendRaw("/parley.v1.ChatService/GetChat", Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0x01)),
    );
    expect(refusal.code).to.equal(status.INVALID_ARGUMENT);
    expect(refusal.reason).to.equal("FIELD_INVALID");
  });
});
