import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { BadRequest, ErrorInfo, RetryInfo } from "../../gen/google/rpc/error_details.ts";
import { Status } from "../../gen/google/rpc/status.ts";
import { ApplicationServiceClient } from "../../gen/parley/v1/application.ts";
import { ChatServiceClient } from "../../gen/parley/v1/chat.ts";
import { MessageServiceClient } from "../../gen/parley/v1/message.ts";
import type { Connection } from "../connect.ts";

/** One try of a call; a batch that waits for a slow disk is not given up early. */
const CALL_MS = 30_000;
/** How long a server that was never reached, and one that was, is waited for. */
const WAIT_MAX_MS = { first: 5_000, later: 10 * 60_000 };
const PAUSE_MS = { first: 200, last: 5_000 };

/** Worth another try: the server is away or busy, or did not answer in time. */
const PASSING: number[] = [status.UNAVAILABLE, status.RESOURCE_EXHAUSTED, status.DEADLINE_EXCEEDED];

/** Where a server is, and how to reach it; in the clear and without a key unless told otherwise. */
export interface Target {
  /** `host:port` of the server. */
  target: string;
  connection?: Connection | undefined;
  /** Aborted to end the work early. */
  signal?: AbortSignal | undefined;
}

type Method<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { deadline: number },
  done: (error: ServiceError | null, answer: Response) => void,
) => unknown;

/** The generated clients, and a way to call them that waits for a server that is away. */
export class Calls {
  readonly applications: ApplicationServiceClient;
  readonly chats: ChatServiceClient;
  readonly messages: MessageServiceClient;
  private readonly signal: AbortSignal | undefined;
  /** True once the server has answered a call. */
  private reached = false;

  constructor({ target, connection, signal }: Target) {
    const channel = connection?.credentials ?? credentials.createInsecure();
    const options = connection?.options;
    this.applications = new ApplicationServiceClient(target, channel, options);
    this.chats = new ChatServiceClient(target, channel, options);
    this.messages = new MessageServiceClient(target, channel, options);
    this.signal = signal;
  }

  /**
   * Tries again where a retry makes sense, after the time that the server asks for. A create needs
   * a request id for that, so that it is not done twice.
   */
  async call<Request, Response>(
    client: object,
    method: Method<Request, Response>,
    request: Request,
  ): Promise<Response> {
    const startMs = Date.now();
    for (let pauseMs = PAUSE_MS.first; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MS.last)) {
      this.signal?.throwIfAborted();
      try {
        const answer = await once(client, method, request);
        this.reached = true;
        return answer;
      } catch (error) {
        const { code } = error as ServiceError;
        const passing = PASSING.includes(code);
        if (code !== status.UNAVAILABLE) this.reached = true;
        const mostMs = this.reached ? WAIT_MAX_MS.later : WAIT_MAX_MS.first;
        if (!passing || Date.now() - startMs > mostMs) throw error;
        // Spread out, since what waits for the same thing is told the same time.
        const waitMs = (detailsOf(error as ServiceError).retryMs ?? pauseMs) * (1 + Math.random());
        await sleep(waitMs, undefined, { signal: this.signal });
      }
    }
  }

  close(): void {
    for (const client of [this.applications, this.chats, this.messages]) client.close();
  }
}

function once<Request, Response>(
  client: object,
  method: Method<Request, Response>,
  request: Request,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + CALL_MS };
    method.call(client, request, new Metadata(), options, (error, answer) =>
      error === null ? resolve(answer) : reject(error),
    );
  });
}

/** What a refusal says in its details. */
export interface Details {
  reason: string | undefined;
  violations: { field: string; description: string }[];
  retryMs: number | undefined;
}

export function detailsOf({ metadata }: Pick<ServiceError, "metadata">): Details {
  const found: Details = { reason: undefined, violations: [], retryMs: undefined };
  const [bytes] = metadata?.get("grpc-status-details-bin") ?? [];
  if (!Buffer.isBuffer(bytes)) return found;
  for (const { typeUrl, value } of Status.decode(bytes).details) {
    if (typeUrl.endsWith(".ErrorInfo")) found.reason = ErrorInfo.decode(value).reason;
    if (typeUrl.endsWith(".BadRequest")) {
      found.violations = BadRequest.decode(value).fieldViolations;
    }
    if (typeUrl.endsWith(".RetryInfo")) {
      const { seconds = 0, nanos = 0 } = RetryInfo.decode(value).retryDelay ?? {};
      found.retryMs = seconds * 1_000 + nanos / 1_000_000;
    }
  }
  return found;
}

/** The same UUID for the same text below the same UUID, as RFC 9562 makes version 5. */
export function uuidFrom(namespace: string, text: string): string {
  const space = Buffer.from(namespace.replaceAll("-", ""), "hex");
  const bytes = createHash("sha1").update(space).update(text).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x50;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
