import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { services } from "../../src/api/routes.ts";
import { type Refusal, refusalOf } from "./system.ts";

const STREAMS = services.flatMap(({ service }) =>
  Object.values(service).flatMap(({ path, responseStream }) => (responseStream ? [path] : [])),
);

/** One call of bytes; of an answer that is a stream it takes the first part alone. */
export function callOfBytes(
  client: Client,
  path: string,
  bytes: Uint8Array,
  { metadata = new Metadata(), timeoutMs = 10_000 } = {},
): Promise<Buffer> {
  const request = () => Buffer.from(bytes);
  const answer = (one: Buffer) => one;
  const options = { deadline: Date.now() + timeoutMs };
  return new Promise((resolve, reject) => {
    if (STREAMS.includes(path)) {
      const stream = client.makeServerStreamRequest(path, request, answer, {}, metadata, options);
      stream.once("data", (part: Buffer) => {
        resolve(part);
        stream.cancel();
      });
      stream.on("error", reject);
      stream.once("end", () => reject(new Error("it ended without an answer")));
      return;
    }
    const done = (error: ServiceError | null, whole?: Buffer) =>
      error === null ? resolve(whole!) : reject(error);
    client.makeUnaryRequest(path, request, answer, {}, metadata, options, done);
  });
}

/** What came of a call of bytes: the answer's bytes, or the refusal. */
export type Ended = { answer: Buffer; refusal?: never } | { answer?: never; refusal: Refusal };

/** Sends bytes of our own making as requests, which no generated client would. */
export interface RawCalls {
  send(path: string, bytes: Uint8Array, options?: { timeoutMs?: number }): Promise<Ended>;
  close(): void;
}

export function openRawCalls(target: string): RawCalls {
  const client = new Client(target, credentials.createInsecure());
  return {
    send: async (path, bytes, options) => {
      const call = callOfBytes(client, path, bytes, options);
      const answer = await call.catch(() => undefined);
      return answer === undefined ? { refusal: await refusalOf(call) } : { answer };
    },
    close: () => client.close(),
  };
}
