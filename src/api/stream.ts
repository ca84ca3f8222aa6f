import type { ServerHttp2Stream } from "node:http2";
import { Metadata, type ServerWritableStream } from "@grpc/grpc-js";
import { ParleyError } from "../errors.ts";
import { type CallParts, runCall } from "./call.ts";
import type { Undecodable } from "./decoding.ts";
import type { StreamRoute } from "./routes.ts";
import { toStatus } from "./status.ts";
import type { Encoded } from "./unary.ts";

/** A caller who takes nothing of what is sent for so long is told so, and after it again is cut. */
const SLOW_MS = 30_000;
/** How often a stream is looked at: whether its caller takes what is sent, and its key is good. */
const LOOK_MS = 1_000;

/** Open streams, so that a server that stops can end them. */
export class Streams {
  private readonly open = new Set<(error: ParleyError) => void>();
  private stopped = false;

  /** Notes how to end a stream; returns what to call when it has ended by itself. */
  add(end: (error: ParleyError) => void): () => void {
    if (this.stopped) end(shuttingDown());
    this.open.add(end);
    return () => this.open.delete(end);
  }

  stop(): void {
    this.stopped = true;
    for (const end of this.open) end(shuttingDown());
  }
}

function shuttingDown(): ParleyError {
  return new ParleyError("SHUTTING_DOWN", "the server stops; call again to go on elsewhere");
}

/** What streams need beside what every call does. */
export interface StreamParts extends CallParts {
  streams: Streams;
  /** Shorter in tests that wait for it. */
  slowMs: number | undefined;
}

/** One RPC as the wrapper needs it. */
interface Rpc<Request, Response> {
  name: string;
  route: StreamRoute<Request, Response>;
  decode(bytes: Encoded): Request | Undecodable;
}

/**
 * The one wrapper of every call of gRPC that is answered with a stream. To the rest of the house it
 * is a call like others, which sends while it runs and has no deadline but its caller's.
 */
export function stream<Request, Response>(
  { name, route, decode }: Rpc<Request, Response>,
  parts: StreamParts,
) {
  const { slowMs = SLOW_MS } = parts;
  return (call: ServerWritableStream<Encoded, Response>): void => {
    const header = (one: string) => call.metadata.get(one);
    const cancel = runCall<Request, void>(parts, {
      name,
      route: {
        ...route,
        run: async (core, request, { signal, nowMs, deadlineMs, trace }) => {
          const sending = new Sending(call, slowMs);
          const onAbort = () => sending.end(new Error("nobody listens any more"));
          signal.addEventListener("abort", onAbort, { once: true });
          const remove = parts.streams.add((error) => sending.end(error));
          const timer = setInterval(() => {
            sending.look(() => {
              parts.door.look(header("authorization"), route.access, request, Date.now());
            });
          }, LOOK_MS);
          try {
            const call = { nowMs, deadlineMs, trace, signal: sending.signal };
            const responses = route.run(core, request, call);
            await sending.sendAll(responses, () => {
              parts.door.prove(route.access.applicationOf?.(request));
            });
          } finally {
            clearInterval(timer);
            remove();
            signal.removeEventListener("abort", onAbort);
          }
        },
      },
      deadline: call.getDeadline(),
      lasting: true,
      header,
      read: () => decode(call.request),
      answer: (callId, error) => {
        if (error !== undefined) call.emit("error", toStatus(error, callId));
        else {
          const trailer = new Metadata();
          trailer.set("parley-call-id", callId);
          call.end(trailer);
        }
        cutLater(call, slowMs);
      },
    });
    call.on("cancelled", cancel);
  };
}

/** Sends one response after the other: the next is asked for when the last one is under way. */
class Sending<Response> {
  private readonly call: ServerWritableStream<Encoded, Response>;
  private readonly slowMs: number;
  private readonly ended = new AbortController();
  private failure: Error | undefined;
  /** Ends the wait for a caller who does not take what was sent. */
  private release: (() => void) | undefined;
  private sinceMs = 0;

  constructor(call: ServerWritableStream<Encoded, Response>, slowMs: number) {
    this.call = call;
    this.slowMs = slowMs;
  }

  get signal(): AbortSignal {
    return this.ended.signal;
  }

  end(error: Error): void {
    this.failure ??= error;
    this.ended.abort();
    this.release?.();
  }

  look(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.end(error as Error);
    }
    if (this.release === undefined || performance.now() - this.sinceMs < this.slowMs) return;
    const message = `nothing was taken for ${this.slowMs} ms; call again to go on`;
    this.end(new ParleyError("WATCHER_SLOW", message));
  }

  async sendAll(responses: AsyncIterable<Response>, onFirst: () => void): Promise<void> {
    let first = true;
    try {
      for await (const response of responses) {
        if (first) onFirst();
        first = false;
        await this.send(response);
        if (this.failure !== undefined) break;
      }
    } catch (error) {
      throw this.failure ?? error;
    }
    if (this.failure !== undefined) throw this.failure;
  }

  private send(response: Response): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.release = undefined;
        resolve();
      };
      this.sinceMs = performance.now();
      this.release = done;
      // grpc-js calls back when HTTP/2 has sent it, which its caller lets it do by taking.
      this.call.write(response, done);
    });
  }
}

/**
 * The status comes behind what was sent and is not taken yet, so who takes nothing never hears it.
 * grpc-js has no way to reset a call; where a later version keeps its stream elsewhere this does
 * nothing, and the connection's own bounds remain.
 */
function cutLater(call: object, afterMs: number): void {
  const { stream } = (call as { call?: { stream?: ServerHttp2Stream } }).call ?? {};
  if (stream === undefined || stream.closed) return;
  const timer = setTimeout(() => stream.close(), afterMs).unref();
  stream.once("close", () => clearTimeout(timer));
}
