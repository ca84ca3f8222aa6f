import { credentials, makeGenericClientConstructor, type ServiceError } from "@grpc/grpc-js";
import { type Refusal, refusalOf } from "./system.ts";

/** What came of a call of bytes: the answer's bytes, or the refusal. */
export type Ended = { answer: Buffer; refusal?: never } | { answer?: never; refusal: Refusal };

/** Sends bytes of our own making as requests, which no generated client would. */
export interface RawCalls {
  send(path: string, bytes: Uint8Array, options?: { timeoutMs?: number }): Promise<Ended>;
  close(): void;
}

export function openRawCalls(target: string): RawCalls {
  const client = new (makeGenericClientConstructor({}, "Raw"))(
    target,
    credentials.createInsecure(),
  );
  return {
    send: async (path, bytes, { timeoutMs = 10_000 } = {}) => {
      const call = new Promise<Buffer>((resolve, reject) => {
        client.makeUnaryRequest(
          path,
          () => Buffer.from(bytes),
          (answer) => answer,
          {},
          { deadline: Date.now() + timeoutMs },
          (error: ServiceError | null, answer?: Buffer) =>
            error === null ? resolve(answer!) : reject(error),
        );
      });
      const answer = await call.catch(() => undefined);
      return answer === undefined ? { refusal: await refusalOf(call) } : { answer };
    },
    close: () => client.close(),
  };
}
