import { randomUUID } from "node:crypto";
import { Metadata, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import type { Call, Core } from "../core/core.ts";
import { DEADLINE_DEFAULT_MS, DEADLINE_MAX_MS } from "../core/limits.ts";
import { pageSizeOf } from "../core/pages.ts";
import { ParleyError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { Undecodable } from "./decoding.ts";
import { Gate } from "./gate.ts";
import type { Route } from "./routes.ts";
import { check } from "./rules.ts";
import { toStatus } from "./status.ts";

/**
 * Rows that the pages of one RPC may ask for at a time, 256 MiB at the worst. A thousand callers at
 * once would take gigabytes, and no caller is served sooner than the database has a connection.
 */
const PAGE_ROWS_MAX = 16_000;

/**
 * The one wrapper of every unary call: deadline, call id, rules, status and log line. An async
 * handler that throws would hang its call, so nothing leaves here but by the callback.
 */
export function unary<Request, Response>(
  name: string,
  route: Route<Request, Response>,
  parts: { core: Core; log: Logger },
) {
  const pages = new Gate(PAGE_ROWS_MAX);
  return (
    call: ServerUnaryCall<Request | Undecodable, Response>,
    callback: sendUnaryData<Response>,
  ): void => {
    const startMs = Date.now();
    const callId = randomUUID();
    const stop = new AbortController();
    const deadlineMs = deadlineOf(call.getDeadline(), startMs);
    let answered = false;

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
      logCall(parts.log, { call: name, callId, ms: Date.now() - startMs, error });
    };
    const overdue = () => answer(new ParleyError("DEADLINE_EXCEEDED", "the call took too long"));
    const timer = setTimeout(overdue, Math.max(1, deadlineMs - startMs));
    call.on("cancelled", () => {
      clearTimeout(timer);
      // Nobody is left to answer, and what the handler stops with is no fault of ours.
      if (!answered) parts.log.info({ call: name, callId, code: "CANCELLED" }, "call");
      answered = true;
      stop.abort();
    });
    handle(call.request, { nowMs: startMs, deadlineMs, signal: stop.signal }).then(
      (response) => answer(undefined, response),
      (error: unknown) => answer(error ?? new Error("rejected with nothing")),
    );
  };

  async function handle(request: Request | Undecodable, call: Call): Promise<Response> {
    if (request instanceof Undecodable) throw request.error;
    check(route.rule, request);
    const run = () => route.run(parts.core, request, call);
    const { pageSize } = request as { pageSize?: number };
    return pageSize === undefined ? run() : pages.pass(pageSizeOf(pageSize), call.signal, run);
  }
}

/** A call always has a deadline: its caller's within our bound, or else our own. */
function deadlineOf(deadline: Date | number, nowMs: number): number {
  const asked = Number(deadline);
  if (!Number.isFinite(asked)) return nowMs + DEADLINE_DEFAULT_MS;
  return Math.min(asked, nowMs + DEADLINE_MAX_MS);
}

/** One line a call. It never has a body, an author, a name or a key. */
function logCall(
  log: Logger,
  { error, ...line }: { call: string; callId: string; ms: number; error: unknown },
): void {
  if (error === undefined) log.info({ ...line, code: "OK" }, "call");
  else if (!(error instanceof ParleyError)) {
    log.error({ ...line, code: "INTERNAL", err: error }, "call");
  } else if (error.code === "UNAVAILABLE" || error.code === "INTERNAL") {
    log.warn({ ...line, code: error.code, reason: error.reason, err: error.cause }, "call");
  } else log.info({ ...line, code: error.code, reason: error.reason }, "call");
}
