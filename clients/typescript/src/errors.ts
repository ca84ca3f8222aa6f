import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { BadRequest, ErrorInfo, RetryInfo } from "../../../gen/google/rpc/error_details.ts";
import { Status } from "../../../gen/google/rpc/status.ts";
import type { ErrorReason } from "../../../gen/parley/v1/errors.ts";

/** Why Parley refused a call or failed it: the names of ErrorReason without its prefix. */
export type Reason = keyof typeof ErrorReason extends infer Name
  ? Name extends `ERROR_REASON_${infer Short}`
    ? Exclude<Short, "UNSPECIFIED">
    : never
  : never;

/** The names of gRPC's status codes. */
export type Code = Exclude<keyof typeof status, "OK">;

/** A field of a request, by its path in the contract, and what is wrong with it. */
export interface Violation {
  field: string;
  description: string;
}

interface Details {
  reason?: Reason;
  violations?: Violation[];
  retryMs?: number;
  callId?: string;
}

/** A call that failed. Its cause is the error of gRPC. */
export class ParleyError extends Error {
  readonly code: Code;
  /** Not there where the call did not reach a handler of Parley. A newer server may send others. */
  readonly reason: Reason | undefined;
  /** The fields that are wrong, with FIELD_INVALID. */
  readonly violations: Violation[];
  /** How long the server asks to wait before a retry. */
  readonly retryMs: number | undefined;
  /** The name of the call in the server's log. */
  readonly callId: string | undefined;

  constructor(code: Code, message: string, details: Details = {}, cause?: unknown) {
    super(message, { cause });
    this.name = "ParleyError";
    this.code = code;
    this.reason = details.reason;
    this.violations = details.violations ?? [];
    this.retryMs = details.retryMs;
    this.callId = details.callId;
  }
}

/** What gRPC reports, as the error that callers see; what is no error of a call stays as it is. */
export function toParleyError(error: unknown): unknown {
  if (!(error instanceof Error) || typeof (error as ServiceError).code !== "number") return error;
  const { code, details, metadata } = error as ServiceError;
  const name = (status[code] ?? "UNKNOWN") as Code;
  return new ParleyError(name, details || error.message, detailsIn(metadata), error);
}

function detailsIn(metadata: Metadata = new Metadata()): Details {
  const found: Details = {};
  const [callId] = metadata.get("parley-call-id");
  if (typeof callId === "string") found.callId = callId;
  const [bytes] = metadata.get("grpc-status-details-bin");
  if (!Buffer.isBuffer(bytes)) return found;
  try {
    for (const { typeUrl, value } of Status.decode(bytes).details) {
      const type = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
      if (type === "google.rpc.ErrorInfo") {
        const { reason, metadata: more } = ErrorInfo.decode(value);
        found.reason = reason as Reason;
        found.callId ??= more.call_id;
      } else if (type === "google.rpc.BadRequest") {
        found.violations = BadRequest.decode(value).fieldViolations.map(
          ({ field, description }) => ({ field, description }),
        );
      } else if (type === "google.rpc.RetryInfo") {
        const { seconds = 0, nanos = 0 } = RetryInfo.decode(value).retryDelay ?? {};
        found.retryMs = seconds * 1_000 + nanos / 1_000_000;
      }
    }
  } catch {
    // Details that cannot be read tell nothing, and the code is still true.
  }
  return found;
}
