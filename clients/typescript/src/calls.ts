import { setTimeout as sleep } from "node:timers/promises";
import { Client, Metadata } from "@grpc/grpc-js";
import { credentialsOf, type Tls, targetOf } from "./addresses.ts";
import { ParleyError, toParleyError } from "./errors.ts";

export interface ClientOptions {
  /** `host:port` of a server, or of several: calls go to those that answer, in turn. */
  address: string | readonly string[];
  /** The key that every call shows, where the server asks for one. */
  key?: string | undefined;
  /** Without it, nothing is encrypted. `{}` trusts the authorities of the system. */
  tls?: Tls | undefined;
  /** How long a call may take, its retries included: 10,000 unless told otherwise. */
  timeoutMs?: number | undefined;
  /** How often a call is sent again at most: 10 unless told otherwise; 0 for never. */
  retries?: number | undefined;
}

export interface CallOptions {
  /** How long this call may take, its retries included. */
  timeoutMs?: number | undefined;
  /** How often it is sent again at most. */
  retries?: number | undefined;
  /** Aborting it ends the call, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** One RPC as the generated code describes it. */
export interface Method<Request, Response> {
  path: string;
  requestSerialize(value: Request): Buffer;
  responseDeserialize(value: Buffer): Response;
}

const TIMEOUT_MS = 10_000;
const RETRIES_MAX = 10;
const PAUSE_FIRST_MS = 100;
const PAUSE_MAX_MS = 2_000;
/** A server sends a heartbeat every 15 s, so a stream that says nothing for so long is dead. */
const SILENCE_MAX_MS = 45_000;

const CHANNEL = {
  "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  "grpc.service_config_disable_resolution": 1,
  // A connection that died without a word is noticed within 25 s, also while nothing is called.
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 2_000,
  // Proxies of the environment lead out of the network that Parley is in.
  "grpc.enable_http_proxy": 0,
  "grpc.max_receive_message_length": 64 * 1024 * 1024,
};

/** How calls are made: the channel, deadlines, retries, and errors as callers see them. */
export class Calls {
  private readonly client: Client;
  private readonly options: ClientOptions;
  private readonly inWork = new Set<() => void>();
  private closed = false;

  constructor(options: ClientOptions) {
    const addresses = [options.address].flat() as string[];
    const { credentials, options: more } = credentialsOf(addresses, options.tls);
    this.options = options;
    this.client = new Client(targetOf(addresses), credentials, { ...CHANNEL, ...more });
  }

  /**
   * One call with its retries. `isDone` knows the error by which a retry says that an earlier try,
   * whose answer was lost, has done the work; the call then gives nothing.
   */
  async unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions = {},
    isDone: (error: ParleyError) => boolean = () => false,
  ): Promise<Response | undefined> {
    const { signal } = options;
    const deadline = Date.now() + (options.timeoutMs ?? this.options.timeoutMs ?? TIMEOUT_MS);
    const retries = options.retries ?? this.options.retries ?? RETRIES_MAX;
    for (let tries = 0; ; tries++) {
      try {
        return await this.once(method, request, deadline, signal);
      } catch (error) {
        if (!(error instanceof ParleyError)) throw error;
        if (tries > 0 && isDone(error)) return undefined;
        const waitMs = pauseMs(tries, error);
        const late = Date.now() + waitMs >= deadline;
        if (!mayPass(error) || tries >= retries || late) throw error;
        await this.pause(waitMs, signal);
      }
    }
  }

  /** As `unary`, for calls that always give an answer. */
  async answer<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): Promise<Response> {
    return (await this.unary(method, request, options))!;
  }

  /** The responses of one stream, as fast as they are taken. It has no deadline and no retries. */
  async *stream<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    signal?: AbortSignal,
  ): AsyncGenerator<Response, void, undefined> {
    this.check(signal);
    const call = this.client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      this.metadata(),
      {},
    );
    // gRPC also reports the end that we bring about ourselves, to whoever listens or to nobody.
    call.on("error", () => {});
    const release = this.cancelledBy(() => call.cancel(), signal);
    const responses: AsyncIterator<Response> = call[Symbol.asyncIterator]();
    let silent = false;
    const giveUp = () => {
      silent = true;
      call.cancel();
    };
    try {
      for (;;) {
        const timer = setTimeout(giveUp, SILENCE_MAX_MS);
        const next = await responses.next().finally(() => clearTimeout(timer));
        if (next.done === true) return;
        yield next.value;
      }
    } catch (error) {
      this.check(signal);
      if (silent) throw new ParleyError("UNAVAILABLE", "the stream fell silent", {}, error);
      throw toParleyError(error);
    } finally {
      release();
      call.cancel();
    }
  }

  /** Waits before the next try. */
  async pause(ms: number, signal?: AbortSignal): Promise<void> {
    const ending = new AbortController();
    const release = this.cancelledBy(() => ending.abort(), signal);
    await sleep(ms, undefined, { signal: ending.signal }).catch(() => {});
    release();
    this.check(signal);
  }

  /** Ends what is in work, and every connection. */
  close(): void {
    this.closed = true;
    for (const end of this.inWork) end();
    this.client.close();
  }

  private once<Request, Response>(
    { path, requestSerialize, responseDeserialize }: Method<Request, Response>,
    request: Request,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    this.check(signal);
    return new Promise((resolve, reject) => {
      const call = this.client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        this.metadata(),
        { deadline },
        (error, response) => {
          release();
          if (error === null) resolve(response!);
          else reject(this.endOf(signal) ?? toParleyError(error));
        },
      );
      const release = this.cancelledBy(() => call.cancel(), signal);
    });
  }

  private metadata(): Metadata {
    const metadata = new Metadata();
    if (this.options.key) metadata.set("authorization", `Bearer ${this.options.key}`);
    return metadata;
  }

  /** Has `end` called when the signal is aborted or the client closed, until it is released. */
  private cancelledBy(end: () => void, signal: AbortSignal | undefined): () => void {
    this.inWork.add(end);
    signal?.addEventListener("abort", end, { once: true });
    return () => {
      this.inWork.delete(end);
      signal?.removeEventListener("abort", end);
    };
  }

  private check(signal: AbortSignal | undefined): void {
    const end = this.endOf(signal);
    if (end !== undefined) throw end;
  }

  /** Why nothing is to be called any more. */
  private endOf(signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) return signal.reason;
    return this.closed ? new Error("this client is closed") : undefined;
  }
}

/**
 * True for errors that a later try can be spared: of a part that is away, and of a bound where the
 * server says when to come back.
 */
function mayPass({ code, retryMs }: ParleyError): boolean {
  return code === "UNAVAILABLE" || (code === "RESOURCE_EXHAUSTED" && retryMs !== undefined);
}

/** Spread out, so that callers who failed together do not come back together. */
export function pauseMs(tries: number, { retryMs = 0 }: Pick<ParleyError, "retryMs">): number {
  const most = Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** tries);
  return retryMs + most * Math.random();
}
