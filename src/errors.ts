import type { ErrorReason } from "../gen/parley/v1/errors.ts";

/** The reasons that a caller can see, as ErrorInfo carries them: without the prefix of the enum. */
export type Reason = keyof typeof ErrorReason extends infer Name
  ? Name extends `ERROR_REASON_${infer Short}`
    ? Exclude<Short, "UNSPECIFIED">
    : never
  : never;

/** The handful of codes that Parley answers with; `api/status.ts` maps them to gRPC's numbers. */
export type Code =
  | "INVALID_ARGUMENT"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "RESOURCE_EXHAUSTED"
  | "UNAVAILABLE"
  | "UNAUTHENTICATED"
  | "PERMISSION_DENIED"
  | "DEADLINE_EXCEEDED"
  | "INTERNAL";

/** A field of a request, by its path in the proto file, and what is wrong with it. */
export interface Violation {
  field: string;
  description: string;
}

const CODE_OF: Record<Reason, Code> = {
  FIELD_INVALID: "INVALID_ARGUMENT",
  PAGE_TOKEN_INVALID: "INVALID_ARGUMENT",
  APPLICATION_NOT_FOUND: "NOT_FOUND",
  CHAT_NOT_FOUND: "NOT_FOUND",
  MESSAGE_NOT_FOUND: "NOT_FOUND",
  NUMBER_VOID: "NOT_FOUND",
  REQUEST_ID_REUSED: "ALREADY_EXISTS",
  NOT_EMPTY: "FAILED_PRECONDITION",
  MESSAGE_DELETED: "FAILED_PRECONDITION",
  VERSION_MISMATCH: "ABORTED",
  NOT_STORED: "UNAVAILABLE",
  WATCHER_SLOW: "RESOURCE_EXHAUSTED",
  SHUTTING_DOWN: "UNAVAILABLE",
  BACKLOG_FULL: "RESOURCE_EXHAUSTED",
  RATE_LIMITED: "RESOURCE_EXHAUSTED",
  COUNTERS_UNAVAILABLE: "UNAVAILABLE",
  STORE_UNAVAILABLE: "UNAVAILABLE",
  SEARCH_UNAVAILABLE: "UNAVAILABLE",
  KEY_INVALID: "UNAUTHENTICATED",
  SCOPE_MISSING: "PERMISSION_DENIED",
  DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
  INTERNAL: "INTERNAL",
};

/** How long a caller is asked to wait, in milliseconds, where a retry makes sense. */
const RETRY_MS: Partial<Record<Reason, number>> = {
  BACKLOG_FULL: 1_000,
  RATE_LIMITED: 1_000,
  COUNTERS_UNAVAILABLE: 500,
  STORE_UNAVAILABLE: 500,
  SEARCH_UNAVAILABLE: 1_000,
  NOT_STORED: 500,
  WATCHER_SLOW: 500,
  SHUTTING_DOWN: 500,
};

/**
 * The one error that a caller may see. `message` is for the caller; `cause` is for the log alone.
 * Every other error that reaches the door is a defect and is answered as INTERNAL, unexplained.
 */
export class ParleyError extends Error {
  readonly code: Code;
  readonly reason: Reason;
  readonly violations: Violation[];
  readonly retryMs: number | undefined;

  constructor(
    reason: Reason,
    message: string,
    options: { cause?: unknown; violations?: Violation[]; retryMs?: number } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = "ParleyError";
    this.code = CODE_OF[reason];
    this.reason = reason;
    this.violations = options.violations ?? [];
    this.retryMs = options.retryMs ?? RETRY_MS[reason];
  }
}

/** The error of one field: "names the field and the bound" is the rule for `description`. */
export function fieldInvalid(field: string, description: string): ParleyError {
  return new ParleyError("FIELD_INVALID", `${field}: ${description}`, {
    violations: [{ field, description }],
  });
}

/** The name of the status that an outcome is answered with; every error but ours is INTERNAL. */
export function codeOf(error: unknown): Code | "OK" {
  if (error === undefined) return "OK";
  return error instanceof ParleyError ? error.code : "INTERNAL";
}

/** True for the errors that say a part is away, so that trying again later can help. */
export function isUnavailable(error: unknown): error is ParleyError {
  return error instanceof ParleyError && error.code === "UNAVAILABLE";
}
