import { randomUUID } from "node:crypto";
import type { Call, Core } from "../core/core.ts";
import { Gate } from "../core/gate.ts";
import { DEADLINE_DEFAULT_MS, DEADLINE_MAX_MS } from "../core/limits.ts";
import { pageSizeOf } from "../core/pages.ts";
import type { Trace } from "../core/trace.ts";
import { codeOf, ParleyError } from "../errors.ts";
import type { Events } from "../events.ts";
import type { Logger } from "../log.ts";
import { Undecodable } from "./decoding.ts";
import type { Door } from "./door.ts";
import type { Route } from "./routes.ts";
import { check } from "./rules.ts";
import type { Turns } from "./turns.ts";

// The one way of every call through this process, whichever transport it came in by: what gRPC and
// HTTP do differently stands in `Incoming`, and everything else here.

/** What the calls of a process share. */
export interface CallParts {
  core: Core;
  log: Logger;
  door: Door;
  pages: Pages;
  turns: Turns;
  events?: Events | undefined;
}

/** A call as its transport hands it over. */
export interface Incoming<Request, Response> {
  /** The RPC that it is, such as `parley.v1.ChatService/CreateChat`. */
  name: string;
  route: Route<Request, Response>;
  /** When its caller wants the answer; Infinity where that was not said. */
  deadline: Date | number;
  /** True for a call that goes on for as long as its caller likes. */
  lasting?: boolean;
  /** The values of a header. */
  header(name: string): unknown[];
  /** Reads the request, after its caller was let in and not before. */
  read(): Request | Undecodable;
  /** Called once, unless the call was cancelled before; `error` is undefined where it succeeded. */
  answer(callId: string, error: unknown, response?: Response): void;
}

/** Lets a call through and answers it. Returns what to do when its caller has gone. */
export function runCall<Request, Response>(
  parts: CallParts,
  incoming: Incoming<Request, Response>,
): () => void {
  const { name: call } = incoming;
  const startMs = Date.now();
  const callId = randomUUID();
  const deadlineMs = incoming.lasting
    ? Number(incoming.deadline)
    : deadlineOf(incoming.deadline, startMs);
  const seen: Seen = { key: undefined };
  const event = parts.events?.call(call, { get: incoming.header });
  const running = new Running({ nowMs: startMs, deadlineMs, trace: event?.trace });
  let answered = false;

  const answer = (error: unknown, response?: Response): void => {
    if (answered) return;
    answered = true;
    clearTimeout(timer);
    incoming.answer(callId, error, response);
    if (error !== undefined) running.abort();
    event?.ended(codeOf(error));
    logCall(parts.log, { call, callId, key: seen.key, ms: Date.now() - startMs, error });
  };
  const overdue = () => answer(new ParleyError("DEADLINE_EXCEEDED", "the call took too long"));
  // One that lasts without a deadline is never overdue.
  const timer = Number.isFinite(deadlineMs)
    ? setTimeout(overdue, Math.max(1, deadlineMs - startMs))
    : undefined;
  parts.turns.add(() => {
    // Cancelled, or overdue, while it waited.
    if (answered) return;
    work(parts, incoming, running, seen).then(
      (response) => answer(undefined, response),
      (error: unknown) => answer(error ?? new Error("rejected with nothing")),
    );
  });
  return () => {
    // gRPC says so of calls that were answered, too.
    if (answered) return;
    answered = true;
    clearTimeout(timer);
    // Nobody is left to answer, and what the handler stops with is no fault of ours.
    event?.ended("CANCELLED");
    parts.log.info({ call, callId, key: seen.key, code: "CANCELLED" }, "call");
    running.abort();
  };
}

/** A call under way. Its signal is made for those who ask: a number is given without one. */
class Running implements Call {
  readonly nowMs: number;
  readonly deadlineMs: number;
  readonly trace: Trace | undefined;
  private made: AbortController | undefined;

  constructor({ nowMs, deadlineMs, trace }: Omit<Call, "signal">) {
    this.nowMs = nowMs;
    this.deadlineMs = deadlineMs;
    this.trace = trace;
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  abort(): void {
    this.controller.abort();
  }

  private get controller(): AbortController {
    this.made ??= new AbortController();
    return this.made;
  }
}

/** What the log says of a call, known only when it is under way. */
interface Seen {
  key: string | undefined;
}

async function work<Request, Response>(
  { core, door, pages }: CallParts,
  { name, route, header, read }: Incoming<Request, Response>,
  call: Call,
  seen: Seen,
): Promise<Response> {
  const caller = door.identify(header("authorization"), route.access, call.nowMs);
  seen.key = caller?.id;
  const request = read();
  const readable = !(request instanceof Undecodable);
  const applicationToken = readable
    ? route.access.applicationOf?.(request)
    : request.applicationToken;
  door.admit(caller, applicationToken);
  if (!readable) throw request.error;
  check(route.rule, request);
  const run = () => route.run(core, request, call);
  const { pageSize } = request as { pageSize?: number };
  const response = await (pageSize === undefined
    ? run()
    : pages.of(name).pass(pageSizeOf(pageSize), call.signal, run));
  door.prove(applicationToken);
  return response;
}

/**
 * Rows that the pages of one RPC may ask for at a time, 256 MiB at the worst. A thousand callers at
 * once would take gigabytes, and no caller is served sooner than the database has a connection.
 */
const PAGE_ROWS_MAX = 16_000;

/** A gate for the pages of each RPC. */
export class Pages {
  private readonly gates = new Map<string, Gate>();

  of(name: string): Gate {
    const gate = this.gates.get(name) ?? new Gate(PAGE_ROWS_MAX);
    this.gates.set(name, gate);
    return gate;
  }
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
