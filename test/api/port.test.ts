import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import {
  GetApplicationRequest,
  ListMessagesRequest,
} from "../../clients/typescript/src/contract.ts";
import { ServerReflectionRequest } from "../../gen/grpc/reflection/v1/reflection.ts";
import { type Child, startChild } from "../support/child.ts";
import * as strangers from "../support/strangers.ts";
import { callOf, type End, frame, framed, openHttp2, openSocket } from "../support/strangers.ts";
import { freshPlace, start } from "../support/system.ts";
import { photograph, seedWitness } from "../support/witness.ts";

const GET = "/parley.v1.ApplicationService/GetApplication";
const LIST = "/parley.v1.MessageService/ListMessages";
const REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const HEALTH = "/grpc.health.v1.Health/Check";
const MIB = 1024 * 1024;
/** Far above what a busy server takes, far below what it took without bounds. */
const RESIDENT_MAX = 1_200 * MIB;

describe("the port, whoever calls", function () {
  this.timeout(120_000);
  let child: Child;
  let token: string;
  let untouched: string[];
  let key: { applicationToken: string; chatNumber: number };
  let get: Buffer;
  let list: Buffer;
  /** What needs its time is begun first, and looked at last. */
  let slow: { writer: Promise<End>; silent: Promise<boolean>; readers: Promise<unknown> };

  before(async () => {
    child = await startChild();
    token = await seedWitness(child);
    const { application } = await child.clients.createApplication({ application: { name: "x" } });
    const applicationToken = application!.token;
    await child.clients.createChat({ applicationToken });
    key = { applicationToken, chatNumber: 1 };
    const body = "x".repeat(16_384);
    for (let at = 0; at < 200; at++)
      await child.clients.createMessage({ ...key, message: { body } });
    get = framed(GetApplicationRequest.encode({ applicationToken }).finish());
    const page = ListMessagesRequest.fromPartial({ ...key, pageSize: 1_000 });
    list = framed(ListMessagesRequest.encode(page).finish());
    untouched = await photograph(child, token);
    const readers = Promise.all([60, 60, 3].map(readNothing));
    slow = { writer: writeHalf(), silent: sayNothing(), readers };
  });
  after(() => child?.stop());
  afterEach(() => expectCalm());

  /** The server is up, and serves whoever behaves. */
  async function expectCalm(): Promise<void> {
    expect(child.alive()).to.equal(true);
    const { message } = await child.clients.createMessage({ ...key, message: { body: "calm" } });
    const got = await child.clients.getMessage({ ...key, number: message!.number });
    expect(got.message!.body).to.equal("calm");
    expect(await photograph(child, token)).to.deep.equal(untouched);
  }

  const writeHalf = () =>
    callOf(openHttp2(child.port), GET, get.subarray(0, get.length - 3), { half: true });

  async function sayNothing(): Promise<boolean> {
    return strangers.endedAfter(await openSocket(child.port), new Uint8Array(), 30_000);
  }

  /** Asks for pages and takes no byte of them; ends when all of them are given up. */
  async function readNothing(pages: number): Promise<void> {
    const session = openHttp2(child.port, { settings: { initialWindowSize: 0 } });
    const streams = Array.from({ length: pages }, () => strangers.openStream(session, LIST)!);
    for (const stream of streams) stream.end(list);
    await Promise.all(streams.map((stream) => new Promise((done) => stream.once("close", done))));
    session.destroy();
  }

  /** One call on a connection of its own. */
  async function once(path: string, bytes: Uint8Array, more = {}): Promise<End> {
    const session = openHttp2(child.port);
    try {
      return await callOf(session, path, bytes, { more });
    } finally {
      session.destroy();
    }
  }

  it("ends connections that do not speak HTTP/2, or speak it wrongly", async () => {
    const greeted = (...frames: Buffer[]) => Buffer.concat([strangers.PREFACE, ...frames]);
    const wrong: Record<string, Uint8Array> = {
      "random bytes": randomBytes(1_000),
      "HTTP/1.1": Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
      "a hello of TLS": Buffer.concat([Buffer.from("16030102000100", "hex"), randomBytes(500)]),
      "the greeting of another version": Buffer.from("PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n"),
      "data on no stream": greeted(frame({ type: 0, flags: 0, stream: 0 }, randomBytes(10))),
      "a frame of 16 MiB": greeted(frame({ type: 0, flags: 0, stream: 1, length: 0xffffff })),
      "headers that are none": greeted(
        frame({ type: 1, flags: 4, stream: 1 }, Buffer.alloc(90, 255)),
      ),
      "headers that never end": greeted(
        frame({ type: 1, flags: 0, stream: 1 }),
        ...Array<Buffer>(2_000).fill(
          frame({ type: 9, flags: 0, stream: 1 }, Buffer.alloc(1_000, 64)),
        ),
      ),
    };
    for (const [what, bytes] of Object.entries(wrong)) {
      const ended = await strangers.endedAfter(await openSocket(child.port), bytes, 25_000);
      expect(ended, what).to.equal(true);
    }
  });

  it("answers odd calls with a clear status", async () => {
    const { OK, UNIMPLEMENTED, INVALID_ARGUMENT, DEADLINE_EXCEEDED } = status;
    const waste = framed(randomBytes(100), { compressed: true });
    const cases: [what: string, end: Promise<End>, grpc: number | undefined][] = [
      ["no message", once(GET, new Uint8Array()), UNIMPLEMENTED],
      ["two messages", once(GET, Buffer.concat([get, get])), UNIMPLEMENTED],
      ["an unknown service", once("/nope.Nope/Nope", get), UNIMPLEMENTED],
      ["an unknown method", once("/parley.v1.ChatService/Nope", get), UNIMPLEMENTED],
      ["a path with line ends", once("/a/%0d%0agrpc-status:%200", get), UNIMPLEMENTED],
      ["an unknown compression", once(GET, waste, { "grpc-encoding": "br" }), UNIMPLEMENTED],
      ["a compression that is not named", once(GET, waste), INVALID_ARGUMENT],
      ["no te", once(GET, get, { te: undefined }), OK],
      ["binary metadata that is none", once(GET, get, { "x-bin": "%%%" }), OK],
      ["60 KB of metadata", once(GET, get, { "x-big": "a".repeat(60_000) }), OK],
      ["a time-out of 0", once(LIST, list, { "grpc-timeout": "0m" }), DEADLINE_EXCEEDED],
    ];
    for (const [what, end, grpc] of cases) expect((await end).grpc, what).to.equal(grpc);
    expect((await once(GET, get, { "content-type": "text/html" })).http).to.equal(415);
    expect((await once(GET, get, { "content-type": undefined })).http).to.equal(415);
  });

  it("refuses enormous metadata and loses nothing by it", async () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`x-${at}`, "v"]));
    expect((await once(GET, get, many)).reset).to.be.above(0);
    expect((await once(GET, get, { "x-big": "a".repeat(500_000) })).grpc).to.equal(undefined);
  });

  it("takes a time-out of months for the most that a call gets, not for none", async () => {
    for (const timeout of ["700H", "99999999H", "99999999M", "99999999S", "99999999m"]) {
      expect((await once(GET, get, { "grpc-timeout": timeout })).grpc, timeout).to.equal(status.OK);
    }
  });

  it("takes messages of 4 MiB and no more, also once they are unpacked", async () => {
    const padded = (bytes: number) => {
      const rest = Buffer.alloc(bytes - (get.length - 5) - 6);
      // Field 1,000, which no request has, of the length that is left.
      const head = Buffer.from([0xc2, 0x3e, 0, 0, 0, 0]);
      for (let at = 0; at < 4; at++) {
        head[2 + at] = ((rest.length >> (7 * at)) & 0x7f) | (at < 3 ? 0x80 : 0);
      }
      return Buffer.concat([get.subarray(5), head, rest]);
    };
    const gzip = { "grpc-encoding": "gzip" };
    const packed = (bytes: number) => framed(gzipSync(padded(bytes)), { compressed: true });
    const { OK, RESOURCE_EXHAUSTED } = status;
    expect((await once(GET, framed(padded(4 * MIB)))).grpc).to.equal(OK);
    expect((await once(GET, framed(padded(4 * MIB + 1)))).grpc).to.equal(RESOURCE_EXHAUSTED);
    expect((await once(GET, packed(4 * MIB), gzip)).grpc).to.equal(OK);
    expect((await once(GET, packed(4 * MIB + 1), gzip)).grpc).to.equal(RESOURCE_EXHAUSTED);
    expect((await once(GET, packed(256 * MIB), gzip)).grpc).to.equal(RESOURCE_EXHAUSTED);
    const lie = framed(get, { length: 0xffff_ffff });
    expect((await once(GET, lie)).grpc).to.equal(RESOURCE_EXHAUSTED);
  });

  it("ends a connection that holds too much in requests that are not whole", async () => {
    const session = openHttp2(child.port);
    const half = framed(Buffer.alloc(4 * MIB)).subarray(0, -1);
    for (let at = 0; at < 40; at++) strangers.openStream(session, GET)!.write(half);
    await new Promise((done) => session.once("close", done));
  });

  it("serves others while streams are opened and reset in a loop", async () => {
    for (let round = 0; round < 5; round++) {
      const session = openHttp2(child.port);
      for (let at = 0; at < 500; at++) {
        const stream = strangers.openStream(session, LIST);
        stream?.end(list);
        stream?.close(8);
        if (at % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await child.clients.getChat({ applicationToken: key.applicationToken, number: 1 });
      session.destroy();
    }
  });

  it("keeps the connection of a caller that gives up thousands of calls", async () => {
    const session = openHttp2(child.port);
    for (let round = 0; round < 20; round++) {
      for (let at = 0; at < 200; at++) strangers.openStream(session, LIST)?.close(8);
      expect((await callOf(session, GET, get)).grpc).to.equal(status.OK);
    }
    session.destroy();
  });

  it("lets a caller ping with each frame of its answers, as some do", async () => {
    const session = openHttp2(child.port, { maxOutstandingPings: 1_000 });
    for (let round = 0; round < 20; round++) {
      const call = callOf(session, LIST, list);
      const pings = Array.from({ length: 100 }, () => {
        return new Promise<void>((done) => session.ping(() => done()));
      });
      await Promise.all(pings);
      expect((await call).grpc).to.equal(status.OK);
    }
    session.destroy();
  });

  it("ends connections that flood it with pings or settings", async () => {
    const floods = {
      pings: frame({ type: 6, flags: 0, stream: 0 }, Buffer.alloc(8)),
      settings: frame({ type: 4, flags: 0, stream: 0 }, Buffer.from("000300000064", "hex")),
    };
    for (const [what, one] of Object.entries(floods)) {
      const bytes = Buffer.concat([strangers.PREFACE, ...Array<Buffer>(20_000).fill(one)]);
      const ended = await strangers.endedAfter(await openSocket(child.port), bytes, 25_000);
      expect(ended, what).to.equal(true);
    }
  });

  it("answers thousands of calls on one connection, and forgets callers that vanish", async () => {
    const session = openHttp2(child.port);
    const ends = await Promise.all(Array.from({ length: 3_000 }, () => callOf(session, GET, get)));
    expect(new Set(ends.map((end) => end.grpc))).to.deep.equal(new Set([status.OK]));
    session.destroy();
    for (let at = 0; at < 100; at++) {
      const gone = openHttp2(child.port);
      gone.once("connect", () => {
        strangers.openStream(gone, LIST)?.end(list);
        setImmediate(() => gone.destroy());
      });
    }
  });

  it("answers questions about the contract no faster than they are read", async () => {
    const session = openHttp2(child.port, { settings: { initialWindowSize: 0 } });
    const stream = strangers.openStream(session, REFLECTION)!;
    const question = ServerReflectionRequest.encode({
      host: "",
      messageRequest: { $case: "fileByFilename", value: "parley/v1/message.proto" },
    }).finish();
    const block = Buffer.concat(Array<Buffer>(10_000).fill(framed(question)));
    // What the server does not take stays with the caller, so the writing comes to a halt.
    for (let at = 0; at < 20; at++) stream.write(block);
    for (let calls = 0; calls < 100; calls++) await once(GET, get);
    expect(stream.writableLength).to.be.above(0);
    session.destroy();
  });

  it("keeps to its bound of connections, and serves the ones that it has", async () => {
    const sockets: Socket[] = [];
    for (let at = 0; at < 2_100; at++) {
      const socket = await openSocket(child.port);
      socket.write(strangers.PREFACE);
      sockets.push(socket);
    }
    await expectCalm();
    while (sockets.filter((one) => one.destroyed || one.readableEnded).length < 100) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const socket of sockets) socket.destroy();
    while ((await once(GET, get)).grpc !== status.OK) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });

  it("refuses half a request in bounded time, and closes who says nothing", async () => {
    const { grpc, message } = await slow.writer;
    expect(grpc).to.equal(status.DEADLINE_EXCEEDED);
    expect(message).to.match(/not whole/);
    expect(await slow.silent).to.equal(true);
  });

  it("gives up answers that nobody takes, and memory stays within a bound", async () => {
    await slow.readers;
    expect(child.resident()).to.be.below(RESIDENT_MAX);
  });
});

describe("a server that stops", () => {
  it("waits its grace for callers that hold on to their calls, and no longer", async () => {
    const place = await freshPlace("embedded");
    const parley = await start(place, ["api"], { PARLEY_STOP_GRACE_MS: "200" });
    const port = Number(parley.target.split(":")[1]);
    const session = openHttp2(port, { settings: { initialWindowSize: 0 } });
    strangers.openStream(session, GET)!.write(Buffer.alloc(2));
    strangers.openStream(session, HEALTH)!.end(framed(Buffer.alloc(0)));
    // Frames are read in their order, so the stream has arrived when the ping is answered.
    await new Promise<void>((done) => session.ping(() => done()));
    await parley.stop();
    await place.drop();
    session.destroy();
  });
});
