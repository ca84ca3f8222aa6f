import {
  constants,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import { status as grpcStatus, type Server } from "@grpc/grpc-js";
import { DEADLINE_MAX_MS } from "../core/limits.ts";
import type { Logger } from "../log.ts";
import type { Process } from "../process.ts";

// What one caller may hold of a server. grpc-js bounds the size of a message and the streams of a
// connection, but neither how long half a request may take, nor the answers that nobody reads, nor
// how many connections there are.

/** Connections of a process. One that waits costs some tens of kilobytes. */
const CONNECTIONS_MAX = 2_000;
/** What a message may weigh: 1,000 messages come in pages below it, see PAGE_BYTES_MAX. */
export const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;
/** A connection that does not speak HTTP/2 by then is closed. */
const GREETING_MS = 10_000;
/** A request that is not whole by then is refused; the deadline of a call begins after that. */
const REQUEST_MS = 10_000;
/** An answer of which its caller has not taken all by then is given up. */
const ANSWER_MS = 20_000;
/** Half requests and answers that are not taken yet, of one connection and of all. */
const HELD_BYTES_MAX = { connection: 128 * 1024 * 1024, process: 256 * 1024 * 1024 };
/**
 * Pings and settings of a connection between two looks. Most clients send a few in their life, but
 * some measure their bandwidth with a ping for each frame of an answer, and a page has 200 frames.
 */
const CONTROLS_MAX = { alone: 1_000, withEachCall: 200 };
/**
 * Calls that a caller may give up at once, and then each second. Left to itself nghttp2 ends the
 * connection after 1,000 and 33, and with it, as INTERNAL, every other call of a busy client that
 * has short deadlines.
 */
const RESETS = { streamResetBurst: 10_000, streamResetRate: 1_000 };
/** The longest deadline that a timer of Node can keep, less a little. */
const TIMEOUT_MAX_MS = 2_000_000_000;
/** How often what is held is looked at; what comes up in between is bounded by the processor. */
const LOOK_MS = 250;

/**
 * How long a call may take: as long as any; as long as its caller likes; or also its answer, which
 * then is ended by whoever sends it where nobody takes it.
 */
export type Pace = "short" | "long" | "lasting";

type Session = NonNullable<ServerHttp2Stream["session"]>;

/** An open stream. */
interface Open {
  stream: ServerHttp2Stream;
  pace: Pace;
  openMs: number;
  /** What has come in of a request that was not whole at a look; undefined before that look. */
  requestBytes: number | undefined;
  /** Since when a part of the answer waits to be taken. */
  heldMs: number | undefined;
}

/** What is known of a connection. */
interface Own {
  streams: Set<Open>;
  /** What it had sent by the last look. */
  bytesRead: number;
  /** Its calls, and its pings and settings, since the last look. */
  calls: number;
  controls: number;
}

/** Closes what a caller holds too long or too much of, and nothing of any other caller. */
export class Connections implements Process {
  private readonly server: Server;
  private readonly log: Logger;
  private readonly paceOf: (path: string) => Pace;
  private readonly sessions = new Map<Session, Own>();
  private timer: NodeJS.Timeout | undefined;

  constructor(parts: { server: Server; log: Logger }, paceOf: (path: string) => Pace) {
    this.server = parts.server;
    this.log = parts.log;
    this.paceOf = paceOf;
    Object.assign(insideOf(parts.server, "commonServerOptions"), RESETS);
  }

  /** To be called in the turn in which the server is bound, before it has a connection. */
  async start(): Promise<void> {
    for (const one of insideOf(this.server, "http2Servers").keys()) {
      one.maxConnections = CONNECTIONS_MAX;
      one.on("session", (session) => this.watchSession(session));
      one.prependListener("stream", (stream, headers) => {
        const pace = this.paceOf(String(headers[":path"]));
        boundTimeout(headers, pace === "lasting" ? TIMEOUT_MAX_MS : DEADLINE_MAX_MS);
        this.watchStream(stream, pace);
      });
    }
    this.timer = setInterval(() => this.look(Date.now()), LOOK_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
  }

  private watchSession(session: Session): void {
    const own: Own = { streams: new Set(), bytesRead: 0, calls: 0, controls: 0 };
    this.sessions.set(session, own);
    const silent = setTimeout(() => session.destroy(), GREETING_MS);
    const control = () => {
      own.controls++;
      const max = CONTROLS_MAX.alone + CONTROLS_MAX.withEachCall * own.calls;
      if (own.controls > max) cut(session);
    };
    session.on("ping", control);
    session.on("remoteSettings", control);
    session.once("remoteSettings", () => clearTimeout(silent));
    session.once("close", () => {
      clearTimeout(silent);
      this.sessions.delete(session);
    });
  }

  private watchStream(stream: ServerHttp2Stream, pace: Pace): void {
    const own = stream.session && this.sessions.get(stream.session);
    if (own === undefined) return;
    own.calls++;
    const openMs = Date.now();
    const open: Open = { stream, pace, openMs, requestBytes: undefined, heldMs: undefined };
    own.streams.add(open);
    stream.once("close", () => {
      own.streams.delete(open);
      release(stream);
    });
  }

  private look(nowMs: number): void {
    let total = 0;
    let most: { session: Session; bytes: number } | undefined;
    for (const [session, own] of this.sessions) {
      own.controls = 0;
      // What is still open was called before, and is answered with frames all the same.
      own.calls = own.streams.size;
      countRequests(session, own);
      let bytes = 0;
      for (const open of own.streams) bytes += heldBy(open, nowMs);
      if (bytes > HELD_BYTES_MAX.connection) this.cutGreedy(session, bytes);
      else {
        total += bytes;
        if (bytes > (most?.bytes ?? 0)) most = { session, bytes };
      }
    }
    if (most !== undefined && total > HELD_BYTES_MAX.process)
      this.cutGreedy(most.session, most.bytes);
  }

  private cutGreedy(session: Session, bytes: number): void {
    this.log.warn({ bytes }, "a connection that held too many bytes was cut");
    cut(session);
  }
}

/**
 * Begins to count what comes in of requests that are not whole yet, which few calls live to see.
 * What came before is part of what the connection has sent since the last look.
 */
function countRequests(session: Session, own: Own): void {
  // Its socket is gone a moment before it tells that it is closed.
  const bytesRead = session.socket?.bytesRead ?? own.bytesRead;
  const fresh = [...own.streams].filter(
    ({ stream, requestBytes }) => requestBytes === undefined && !stream.readableEnded,
  );
  for (const open of fresh) {
    open.requestBytes = Math.min(MESSAGE_BYTES_MAX, (bytesRead - own.bytesRead) / fresh.length);
    // grpc-js has paused the streams that it reads, so this only listens.
    open.stream.on("data", (chunk: Buffer) => {
      open.requestBytes! += chunk.length;
    });
  }
  own.bytesRead = bytesRead;
}

/**
 * Lets go of all that waits for events of a stream that has ended. V8 takes a stream for in use
 * until it collects all of its heap, and so the whole call that hangs on it: that was half of what
 * a call cost to collect.
 */
function release(stream: ServerHttp2Stream): void {
  // Without who listens to that, the others are not taken off one by one.
  stream.removeAllListeners("removeListener");
  stream.removeAllListeners();
  stream.on("error", ignore);
}

function ignore(): void {}

function cut(session: Session): void {
  session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

/**
 * grpc-js reckons a time-out in 32 bits and takes one of more than 24 days for one that is over, so
 * what is more than any call gets is lowered before grpc-js reads it.
 */
function boundTimeout(headers: IncomingHttpHeaders, maxMs: number): void {
  const [, digits, unit] = /^(\d{1,8})([HMS])$/.exec(String(headers["grpc-timeout"])) ?? [];
  if (unit === undefined) return;
  const ms = Number(digits) * { H: 3_600_000, M: 60_000, S: 1_000 }[unit as "H" | "M" | "S"];
  if (ms > maxMs) headers["grpc-timeout"] = `${Math.floor(maxMs / 1_000)}S`;
}

/** How many bytes a stream holds; one that holds them too long is closed. */
function heldBy(open: Open, nowMs: number): number {
  const { stream } = open;
  const whole = stream.readableEnded;
  if (!whole && open.pace !== "long" && nowMs - open.openMs > REQUEST_MS) refuse(stream);
  if (stream.writableLength === 0) open.heldMs = undefined;
  else open.heldMs ??= nowMs;
  const held = open.pace !== "lasting" && nowMs - (open.heldMs ?? nowMs) > ANSWER_MS;
  if (held) stream.close(constants.NGHTTP2_CANCEL);
  if (stream.destroyed) return 0;
  return stream.writableLength + (whole ? 0 : (open.requestBytes ?? 0));
}

/** Says why where that can still be said; with details it cannot, since no handler has begun. */
function refuse(stream: ServerHttp2Stream): void {
  if (!stream.headersSent && !stream.destroyed) {
    const headers = {
      ":status": 200,
      "content-type": "application/grpc+proto",
      "grpc-status": grpcStatus.DEADLINE_EXCEEDED,
      "grpc-message": `the request was not whole within ${REQUEST_MS} ms`,
    };
    stream.respond(headers, { endStream: true });
  }
  stream.close(constants.NGHTTP2_NO_ERROR);
}

/** What grpc-js has of its HTTP/2 servers and hands to nobody, see ADR 80. */
interface Inside {
  commonServerOptions: ServerOptions;
  http2Servers: Map<Http2Server, unknown>;
}

function insideOf<Name extends keyof Inside>(server: Server, name: Name): Inside[Name] {
  const found = (server as unknown as Partial<Inside>)[name];
  if (found === undefined) throw new Error(`this version of grpc-js has no ${name}`);
  return found as Inside[Name];
}
