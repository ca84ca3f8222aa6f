import { createReadStream } from "node:fs";
import { z } from "zod";

// The file of `import` and `export`: JSON lines, each a chat, a message or a tombstone.

/** Longer lines hold no message that would be accepted, and are not kept in memory. */
const LINE_BYTES_MAX = 1024 * 1024;

/** Half a surrogate pair cannot be sent: it would be stored as another character. */
const WHOLE = "must be text without half a surrogate pair";
const isWhole = (one: string) => one.isWellFormed();
const text = z.string({ error: "must be text" }).refine(isWhole, { error: WHOLE });

const chat = z.union([z.number(), z.string().min(1)], { error: "must be a number or a name" });
const name = chat.refine((one) => isWhole(String(one)), { error: WHOLE });
const author = text.default("");
const attributes = z
  .unknown()
  // An object cannot have it, and would lose it on the way.
  .refine((map) => !Object.hasOwn(Object(map), "__proto__"), {
    error: "must not have the key __proto__",
    abort: true,
  })
  .pipe(
    z.record(z.string().refine(isWhole), text, {
      error: ({ code }) => (code === "invalid_key" ? WHOLE : "must be an object of texts"),
    }),
  );
const originalTime = z.iso.datetime({ offset: true, error: "must be a time as RFC 3339 says it" });

const lineSchema = z
  .object(
    {
      chat: name,
      author,
      body: text.min(1, "must not be empty").optional(),
      attributes: attributes.default({}),
      original_time: originalTime.optional(),
      external_id: text.optional(),
      deleted: z.boolean({ error: "must be true or false" }).default(false),
    },
    { error: "must be a JSON object" },
  )
  .refine((line) => line.external_id === undefined || (!line.body && !line.deleted), {
    error: "stands in a line of a chat, which has no body",
    path: ["external_id"],
  })
  .refine((line) => line.body === undefined || !line.deleted, {
    error: "must not be there where deleted is true",
    path: ["body"],
  });

export interface ChatLine {
  kind: "chat";
  /** The name of the chat in the file. */
  chat: string;
  externalId: string;
  attributes: Record<string, string>;
}

export interface MessageLine {
  kind: "message";
  chat: string;
  author: string;
  /** Undefined for one that was deleted: a tombstone. */
  body: string | undefined;
  attributes: Record<string, string>;
  originalTime: Date | undefined;
}

export type Line = ChatLine | MessageLine;

/** Reads a line; throws what is wrong with it, in the words of the server's own refusals. */
export function parseLine(text: string): Line {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error("is no JSON");
  }
  const result = lineSchema.safeParse(value);
  if (!result.success) throw new Error(faultsOf(result.error));
  const line = result.data;
  const { body, attributes } = line;
  const name = String(line.chat);
  if (body === undefined && !line.deleted) {
    const written = value as Record<string, unknown>;
    const about = ["author", "original_time", "number"].find((one) => one in written);
    // What looks like a message whose body was forgotten is not taken for a chat.
    if (about !== undefined || !("external_id" in written || "attributes" in written)) {
      throw new Error("body: must be there, and text");
    }
    return { kind: "chat", chat: name, externalId: line.external_id ?? "", attributes };
  }
  const time = line.original_time;
  const originalTime = time === undefined ? undefined : new Date(time);
  return { kind: "message", chat: name, author: line.author, body, attributes, originalTime };
}

/** Like the server's own words for a field: its name, and what it must be. */
function faultsOf(error: z.ZodError): string {
  return error.issues
    .map((issue) => `${issue.path.join(".") || "line"}: ${issue.message}`)
    .join("; ");
}

/** A line as it stands in a file. */
export interface RawLine {
  /** Its number, from 1. */
  number: number;
  /** Where the next line begins. */
  end: number;
  /** Undefined where `fault` says why it cannot be read. */
  text: string | undefined;
  fault?: string;
}

/**
 * Lines end with LF, or CR LF, alone. (node:readline would also end them at U+2028 and U+2029,
 * which may stand inside a string of JSON.) `from` is where to begin, after how many lines.
 */
export async function* readLines(
  file: string,
  from: { offset: number; line: number },
): AsyncGenerator<RawLine> {
  let { offset: end, line: number } = from;
  let rest: Buffer[] = [];
  let restBytes = 0;
  const take = (piece: Buffer) => {
    restBytes += piece.length;
    if (restBytes <= LINE_BYTES_MAX) rest.push(piece);
    else rest = [];
  };
  const close = (feed: number): RawLine => {
    end += restBytes + feed;
    number++;
    const line = { number, end, ...decode(Buffer.concat(rest), restBytes) };
    rest = [];
    restBytes = 0;
    return line;
  };
  for await (const chunk of createReadStream(file, { start: from.offset })) {
    let piece = chunk as Buffer;
    for (let feed = piece.indexOf(10); feed >= 0; feed = piece.indexOf(10)) {
      take(piece.subarray(0, feed));
      yield close(1);
      piece = piece.subarray(feed + 1);
    }
    if (piece.length > 0) take(piece);
  }
  if (restBytes > 0) yield close(0);
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function decode(bytes: Buffer, whole: number): Pick<RawLine, "text" | "fault"> {
  if (whole > LINE_BYTES_MAX) {
    return { text: undefined, fault: `is longer than ${LINE_BYTES_MAX} bytes` };
  }
  try {
    return { text: utf8.decode(bytes) };
  } catch {
    return { text: undefined, fault: "is no UTF-8" };
  }
}
