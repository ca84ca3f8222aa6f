import { type Code, ParleyError } from "../errors.ts";

// Errors as callers of HTTP see them. Those of a call are the errors of gRPC with a status in
// front; those below them are of HTTP itself.

/** What HTTP itself refuses, with the status that says so. */
const OWN = {
  REQUEST_MALFORMED: { status: 400, code: "INVALID_ARGUMENT" },
  ROUTE_NOT_FOUND: { status: 404, code: "NOT_FOUND" },
  METHOD_NOT_ALLOWED: { status: 405, code: "UNIMPLEMENTED" },
  REQUEST_TOO_SLOW: { status: 408, code: "DEADLINE_EXCEEDED" },
  BODY_TOO_LARGE: { status: 413, code: "INVALID_ARGUMENT" },
  CONTENT_TYPE_UNSUPPORTED: { status: 415, code: "INVALID_ARGUMENT" },
  HEADERS_TOO_LARGE: { status: 431, code: "INVALID_ARGUMENT" },
} as const;

export type OwnReason = keyof typeof OWN;
export const ownReasons = Object.keys(OWN) as OwnReason[];

const STATUS: Record<Code, number> = {
  INVALID_ARGUMENT: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  ABORTED: 409,
  FAILED_PRECONDITION: 412,
  RESOURCE_EXHAUSTED: 429,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
};

/** A refusal of HTTP itself; within a call, the log takes it for a field that is wrong. */
export class Refusal extends ParleyError {
  readonly own: OwnReason;

  constructor(own: OwnReason, message: string) {
    super("FIELD_INVALID", message);
    this.own = own;
  }
}

/** An answer, ready to be sent. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** How a route calls the fields that the contract calls otherwise. */
export type Rename = (field: string) => string;

/** The answer to a call that failed. Whatever is not a ParleyError stays hidden. */
export function failure(error: unknown, callId: string, rename: Rename = (field) => field): Answer {
  const shown =
    error instanceof ParleyError
      ? error
      : new ParleyError("INTERNAL", `a fault of the service; its log has it under ${callId}`);
  const own = shown instanceof Refusal ? shown.own : undefined;
  const { status, code } =
    own === undefined ? { status: STATUS[shown.code], code: shown.code } : OWN[own];
  const violations = shown.violations.map(({ field, description }) => ({
    field: rename(field),
    description,
  }));
  const message =
    violations.length === 0
      ? shown.message.replaceAll("request_id", rename("request_id"))
      : violations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  const headers: Record<string, string> = {};
  if (status === 401) headers["www-authenticate"] = 'Bearer realm="parley"';
  if (shown.retryMs !== undefined) {
    headers["retry-after"] = String(Math.max(1, Math.ceil(shown.retryMs / 1_000)));
  }
  const reason = own ?? shown.reason;
  const { retryMs } = shown;
  const said = { code, reason, message, violations, retry_after_ms: retryMs, call_id: callId };
  return { status, headers, body: JSON.stringify({ error: said }) };
}
