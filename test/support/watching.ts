import { type ClientReadableStream, type ServiceError, status } from "@grpc/grpc-js";
import type { Message, WatchMessagesResponse } from "../../clients/typescript/src/contract.ts";

/** What a caller heard of a chat: how far it came, and how its stream ended. */
export interface Watching {
  /** Every event in a word, as `message 3`, `void 4-6`, `changed 2 "body"` or `caughtUp`. */
  words: string[];
  /** Those that came as the next ones. */
  messages: Message[];
  /** Those that came again, or late. */
  changed: Message[];
  /** The highest number and the last change that were seen: where to go on. */
  at(): { afterNumber: number; afterChange: number };
  /** Resolves when these words were heard, in this order, with whatever in between. */
  heard(...words: string[]): Promise<void>;
  /** Resolves with the first event, rejects where it ends before one. */
  begun: Promise<void>;
  /** Resolves at the end, with the error where it was none of ours. */
  ended: Promise<ServiceError | undefined>;
  /** Takes nothing more, or all that is there. */
  stream: ClientReadableStream<WatchMessagesResponse>;
  cancel(): Promise<void>;
}

export function watching(
  stream: ClientReadableStream<WatchMessagesResponse>,
  { afterNumber = 0, afterChange }: { afterNumber?: number; afterChange?: number },
): Watching {
  const words: string[] = [];
  const messages: Message[] = [];
  const changed: Message[] = [];
  const at = { afterNumber, afterChange: afterChange ?? 0 };
  let look = () => {};
  stream.on("data", ({ event, changeNumber }: WatchMessagesResponse) => {
    words.push(wordOf(event));
    at.afterChange = changeNumber;
    if (event?.$case === "message") {
      messages.push(event.value);
      at.afterNumber = event.value.number;
    }
    if (event?.$case === "changed") changed.push(event.value);
    if (event?.$case === "void" || event?.$case === "pending") {
      at.afterNumber = Math.max(at.afterNumber, event.value.lastNumber);
    }
    look();
  });
  let gone = false;
  let end = "";
  const ended = new Promise<ServiceError | undefined>((resolve) => {
    stream.on("end", () => resolve(undefined));
    stream.on("error", (error: ServiceError) =>
      resolve(error.code === status.CANCELLED ? undefined : error),
    );
  });
  void ended.then((error) => {
    end = error?.message ?? "no error";
    gone = true;
    look();
  });
  const begun = new Promise<void>((resolve, reject) => {
    stream.once("data", () => resolve());
    stream.once("error", reject);
  });
  begun.catch(() => {});
  return {
    words,
    messages,
    changed,
    begun,
    ended,
    stream,
    at: () => ({ ...at }),
    heard: (...wanted) =>
      new Promise((resolve, reject) => {
        look = () => {
          let found = 0;
          for (const word of words) if (word === wanted[found]) found++;
          if (found === wanted.length) resolve();
          else if (gone)
            reject(new Error(`it ended before ${wanted[found]} with ${end}: ${words.join(", ")}`));
        };
        look();
      }),
    cancel: async () => {
      stream.cancel();
      await ended;
    },
  };
}

function wordOf(event: WatchMessagesResponse["event"]): string {
  switch (event?.$case) {
    case "message":
      return `message ${event.value.number}`;
    case "changed":
      return `changed ${event.value.number} ${JSON.stringify(event.value.body)}`;
    case "void":
    case "pending":
      return `${event.$case} ${event.value.firstNumber}-${event.value.lastNumber}`;
    default:
      return `${event?.$case}`;
  }
}
