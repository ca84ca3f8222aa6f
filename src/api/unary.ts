import { Metadata, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { type CallParts, runCall } from "./call.ts";
import type { Undecodable } from "./decoding.ts";
import type { Route } from "./routes.ts";
import { toStatus } from "./status.ts";

/** A request as it came: it is decoded only after its caller was let in. */
export type Encoded = Buffer;

/** One RPC as the wrapper needs it. */
export interface Rpc<Request, Response> {
  name: string;
  route: Route<Request, Response>;
  decode(bytes: Encoded): Request | Undecodable;
}

/**
 * The one wrapper of every unary call of gRPC. An async handler that throws would hang its call, so
 * nothing leaves here but by the callback.
 */
export function unary<Request, Response>(
  { name, route, decode }: Rpc<Request, Response>,
  parts: CallParts,
) {
  return (call: ServerUnaryCall<Encoded, Response>, callback: sendUnaryData<Response>): void => {
    const cancel = runCall<Request, Response>(parts, {
      name,
      route,
      deadline: call.getDeadline(),
      header: (one) => call.metadata.get(one),
      read: () => decode(call.request),
      answer: (callId, error, response) => {
        if (error !== undefined) return callback(toStatus(error, callId));
        const trailer = new Metadata();
        trailer.set("parley-call-id", callId);
        callback(null, response as Response, trailer);
      },
    });
    call.on("cancelled", cancel);
  };
}
