import { randomUUID } from "node:crypto";
import { Metadata, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import type { Core } from "../core/core.ts";
import { Gate } from "../core/gate.ts";
import { DEADLINE_DEFAULT_MS, DEADLINE_MAX_MS } from "../core/limits.ts";
import { pageSizeOf } from "../core/pages.ts";
import { codeOf, ParleyError } from "../errors.ts";
import type { Events } from "../events.ts";
import type { Logger } from "../log.ts";
import { Undecodable } from "./decoding.ts";
import type { Door } from "./door.ts";
import type { Route } from "./routes.ts";
import { check } from "./rules.ts";
import { toStatus } from "./status.ts";

export interface UnaryParts {
  core: Core;
  log: Logger;
  door: Door;
  events: Events | undefined;
}

/** A request as it came: it is decoded only after its caller was let in. */
export type Encoded = Buffer;

/** One RPC as the wrapper needs it. */
export interface Rpc<Request, Response> {
  name: string;
  route: Route<Request, Response>;
  decode(bytes: Encoded): Request | Undecodable;
}

/**
 * Rows that the pages of one RPC may ask for at a time, 256 MiB at the worst. A thousand callers at
 * once would take gigabytes, and no caller is served sooner than the database has a connection.
 */
const PAGE_ROWS_MAX = 16_000;

/**
 * The one wrapper of every unary call: deadline, call id, door, rules, status and log line. An
 * async handler that throws would hang its call, so nothing leaves here but by the callback.
 */
export function unary<Request, Response>(
  { name, route, decode }: Rpc<Request, Response>,
  parts: UnaryParts,
) {
  const { access } = route;
  const pages = new Gate(PAGE_ROWS_MAX);
  return (call: ServerUnaryCall<Encoded, Response>, callback: sendUnaryData<Response>): void => {
    const startMs = Date.now();
    const callId = randomUUID();
    const stop = new AbortController();
    const deadlineMs = deadlineOf(call.getDeadline(), startMs);
    let answered = false;
    let key: string | undefined;
    const seen = parts.events?.call(name, call.metadata);

    const answer = (error: unknown, response?: Response): void => {
      if (answered) return;
      answered = true;
      clearTimeout(timer);
      if (error === undefined) {
        const trailer = new Metadata();
        trailer.set("parley-call-id", callId);
        callback(null, response as Response, trailer);
      } else {
        callback(toStatus(error, callId));
        stop.abort();
      }
      seen?.ended(codeOf(error));
      logCall(parts.log, { call: name, callId, key, ms: Date.now() - startMs, error });
    };
    const overdue = () => answer(new ParleyError("DEADLINE_EXCEEDED", "the call took too long"));
    const timer = setTimeout(overdue, Math.max(1, deadlineMs - startMs));
    call.on("cancelled", () => {
      clearTimeout(timer);
      // Nobody is left to answer, and what the handler stops with is no fault of ours.
      if (!answered) {
        seen?.ended("CANCELLED");
        parts.log.info({ call: name, callId, key, code: "CANCELLED" }, "call");
      }
      answered = true;
      stop.abort();
    });
    const run = async (): Promise<Response> => {
      const caller = parts.door.identify(call.metadata, access, startMs);
      key = caller?.id;
      const request = decode(call.request);
      const readable = !(request instanceof Undecodable);
      const applicationToken = readable ? access.applicationOf?.(request) : undefined;
      parts.door.admit(caller, applicationToken);
      if (!readable) throw request.error;
      check(route.rule, request);
      const { signal } = stop;
      const trace = seen?.trace;
      const work = () =>
        route.run(parts.core, request, { nowMs: startMs, deadlineMs, signal, trace });
      const { pageSize } = request as { pageSize?: number };
      const response = await (pageSize === undefined
        ? work()
        : pages.pass(pageSizeOf(pageSize), signal, work));
      parts.door.prove(applicationToken);
      return response;
    };
    run().then(
      (response) => answer(undefined, response),
      (error: unknown) => answer(error ?? new Error("rejected with nothing")),
    );
  };
}

/** A call always has a deadline: its caller's within our bound, or else our own. */
function deadlineOf(deadline: Date | number, nowMs: number): number {
  const asked = Number(deadline);
  if (!Number.isFinite(asked)) return nowMs + DEADLINE_DEFAULT_MS;
  return Math.min(asked, nowMs + DEADLINE_MAX_MS);
}

/** One line a call. It never has a body, an author, a name or a key, but for the key's id. */
function logCall(
  log: Logger,
  {
    error,
    ...line
  }: { call: string; callId: string; key: string | undefined; ms: number; error: unknown },
): void {
  if (error === undefined) log.info({ ...line, code: "OK" }, "call");
  else if (!(error instanceof ParleyError)) {
    log.error({ ...line, code: "INTERNAL", err: error }, "call");
  } else if (error.code === "UNAVAILABLE" || error.code === "INTERNAL") {
    log.warn({ ...line, code: error.code, reason: error.reason, err: error.cause }, "call");
  } else log.info({ ...line, code: error.code, reason: error.reason }, "call");
}
