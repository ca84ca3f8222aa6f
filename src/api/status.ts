import { status as grpcStatus, Metadata, type ServiceError } from "@grpc/grpc-js";
import { BadRequest, ErrorInfo, RetryInfo } from "../../gen/google/rpc/error_details.ts";
import { Status } from "../../gen/google/rpc/status.ts";
import { ParleyError } from "../errors.ts";

const DOMAIN = "parley";
const TYPE_URL = "type.googleapis.com/google.rpc.";

/**
 * An error as a caller sees it: code and message, and in the trailer `grpc-status-details-bin` the
 * details that parley.v1.ErrorDetails names. Whatever is not a ParleyError stays hidden.
 */
export function toStatus(error: unknown, callId: string): ServiceError {
  const shown =
    error instanceof ParleyError
      ? error
      : new ParleyError("INTERNAL", `a fault of the service; its log has it under ${callId}`);
  const metadata = new Metadata();
  const code = grpcStatus[shown.code];
  const details = detailsOf(shown, callId);
  const status = Status.encode({ code, message: shown.message, details }).finish();
  metadata.set("grpc-status-details-bin", Buffer.from(status));
  metadata.set("parley-call-id", callId);
  return Object.assign(new Error(shown.message), { code, details: shown.message, metadata });
}

function detailsOf(error: ParleyError, callId: string) {
  const info = { reason: error.reason, domain: DOMAIN, metadata: { call_id: callId } };
  const details = [
    { typeUrl: `${TYPE_URL}ErrorInfo`, value: Buffer.from(ErrorInfo.encode(info).finish()) },
  ];
  if (error.violations.length > 0) {
    const request = BadRequest.fromPartial({ fieldViolations: error.violations });
    const value = Buffer.from(BadRequest.encode(request).finish());
    details.push({ typeUrl: `${TYPE_URL}BadRequest`, value });
  }
  if (error.retryMs !== undefined) {
    const seconds = Math.floor(error.retryMs / 1_000);
    const nanos = (error.retryMs % 1_000) * 1_000_000;
    const retry = RetryInfo.encode({ retryDelay: { seconds, nanos } }).finish();
    details.push({ typeUrl: `${TYPE_URL}RetryInfo`, value: Buffer.from(retry) });
  }
  return details;
}
