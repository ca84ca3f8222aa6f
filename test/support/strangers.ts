import type { EventEmitter } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
} from "node:http2";
import { connect, type Socket } from "node:net";

// Callers that no generated client is: they speak HTTP/2 by hand, or do not speak it at all.

/** The greeting of an HTTP/2 client, with no settings of its own. */
export const PREFACE = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame({ type: 4, flags: 0, stream: 0 }),
]);

/** A frame as it goes over the wire; `length` lies about the payload where it is given. */
export function frame(
  head: { type: number; flags: number; stream: number; length?: number },
  payload: Uint8Array = new Uint8Array(),
): Buffer {
  const bytes = Buffer.alloc(9);
  bytes.writeUIntBE(head.length ?? payload.length, 0, 3);
  bytes.writeUInt8(head.type, 3);
  bytes.writeUInt8(head.flags, 4);
  bytes.writeUInt32BE(head.stream >>> 0, 5);
  return Buffer.concat([bytes, payload]);
}

/** Resolves with the first of these events. An error is none of them: what it ends is closed. */
function firstOf(emitter: EventEmitter, ...events: string[]): Promise<void> {
  return new Promise((resolve) => {
    for (const event of events) emitter.once(event, () => resolve());
  });
}

/** A connection of plain bytes. What it is answered is read and dropped, and so are its errors. */
export async function openSocket(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  await firstOf(socket, "connect", "close");
  return socket;
}

/** Writes bytes and waits until the server has ended the connection, at most so long. */
export async function endedAfter(socket: Socket, bytes: Uint8Array, ms: number): Promise<boolean> {
  if (socket.destroyed) return true;
  const ended = firstOf(socket, "close", "end").then(() => true);
  socket.write(bytes);
  const timer = new Promise<boolean>((resolve) => setTimeout(resolve, ms, false).unref());
  const result = await Promise.race([ended, timer]);
  socket.destroy();
  return result;
}

/** An HTTP/2 connection; what goes wrong on it is its end and nothing more. */
export function openHttp2(port: number, options: object = {}): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${port}`, options);
  session.on("error", () => {});
  session.on("goaway", () => {});
  return session;
}

/** The headers of a call as gRPC wants them, with others where they are given. */
export function headersOf(path: string, more: Record<string, string | undefined> = {}) {
  const headers: Record<string, string | undefined> = {
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...more,
  };
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
}

/** A stream of a call that reports nothing but its end. */
export function openStream(
  session: ClientHttp2Session,
  path: string,
  more: Record<string, string | undefined> = {},
): ClientHttp2Stream | undefined {
  if (session.destroyed || session.closed) return undefined;
  const stream = session.request(headersOf(path, more));
  stream.on("error", () => {});
  return stream;
}

/** A message as gRPC frames it; `length` lies where it is given. */
export function framed(message: Uint8Array, { compressed = false, length = message.length } = {}) {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed ? 1 : 0, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

/** How a call ended: its HTTP status, its gRPC status where it had one, or how it was reset. */
export interface End {
  http: number | undefined;
  grpc: number | undefined;
  message: string;
  /** Which error code of HTTP/2 closed it; 0 for none. */
  reset: number;
}

/** Sends what a stranger sends as one call and waits for its end, which must come by then. */
export async function callOf(
  session: ClientHttp2Session,
  path: string,
  bytes: Uint8Array,
  { more = {}, half = false }: { more?: Record<string, string | undefined>; half?: boolean } = {},
): Promise<End> {
  const stream = openStream(session, path, more);
  const end: End = { http: undefined, grpc: undefined, message: "", reset: 0 };
  if (stream === undefined) return { ...end, reset: 7 };
  const note = (headers: Record<string, unknown>) => {
    if (headers[":status"] !== undefined) end.http = Number(headers[":status"]);
    if (headers["grpc-status"] !== undefined) end.grpc = Number(headers["grpc-status"]);
    if (headers["grpc-message"] !== undefined) end.message = String(headers["grpc-message"]);
  };
  stream.on("response", note);
  stream.on("trailers", note);
  stream.resume();
  const ended = firstOf(stream, "close", "end");
  if (bytes.length > 0) stream.write(bytes);
  if (!half) stream.end();
  await ended;
  end.reset = stream.rstCode ?? 0;
  if (half) stream.close();
  return end;
}
