import { z } from "zod";
import {
  AUTHOR_CHARACTERS_MAX,
  BODY_BYTES_MAX,
  NAME_CHARACTERS_MAX,
  PAGE_TOKEN_CHARACTERS_MAX,
  QUERY_CHARACTERS_MAX,
} from "../core/limits.ts";

// What a request of HTTP may look like. Bounds are not checked here: they are said for the OpenAPI
// document, and kept for every caller by api/rules.ts.

/** What is wrong where a value of another type stands, or none. */
function mustBe(what: string) {
  return ({ input }: { input?: unknown }) =>
    input === undefined ? "must be there" : `must be ${what}`;
}

/** Marks an object that has one of several fields, for the OpenAPI document. */
export const ONE_OF = "x-one-of";

const WITHOUT_NUL = "^[^\\u0000]*$";

/** A JSON string; half a surrogate pair cannot be kept, so it is no text. */
function text(meta: Record<string, unknown>) {
  return z
    .string({ error: mustBe("text") })
    .refine((one) => one.isWellFormed(), { error: "must be text without half a surrogate pair" })
    .meta(meta);
}

/** An object by its fields alone: one that is not known is a slip, and is said. */
function object<T extends z.ZodRawShape>(shape: T, meta: Record<string, unknown> = {}) {
  return z.strictObject(shape, { error: mustBe("an object") }).meta(meta);
}

const attributes = z
  .record(
    text({ minLength: 1, maxLength: 64, pattern: WITHOUT_NUL }),
    text({ pattern: WITHOUT_NUL }),
    { error: "must be an object" },
  )
  .meta({
    description: "What the caller wants to keep with it: keys and values together at most 2 KiB.",
    maxProperties: 32,
    examples: [{ topic: "orders" }],
  });

const name = text({
  description: "1 to 255 characters without NUL.",
  minLength: 1,
  maxLength: NAME_CHARACTERS_MAX,
  pattern: WITHOUT_NUL,
  examples: ["test name"],
});

const body = (description: string) =>
  text({
    description,
    minLength: 1,
    maxLength: BODY_BYTES_MAX,
    pattern: WITHOUT_NUL,
    examples: ["hello"],
  }).optional();

const message = object({
  message: body("1 byte to 16 KiB of UTF-8 without NUL, kept byte for byte. This or `body`."),
  body: body("Another name of `message`. Where both are there, they must be the same."),
  author: text({
    description: "Who wrote it, as the caller names them: up to 255 characters without NUL.",
    maxLength: AUTHOR_CHARACTERS_MAX,
    pattern: WITHOUT_NUL,
    examples: ["ann"],
  }).optional(),
  attributes: attributes.optional(),
  original_time: z.iso
    .datetime({ offset: true, error: "must be a time such as 2030-01-31T00:00:00Z" })
    .meta({
      description: "When it was written where it comes from, from 1970 on; it orders nothing.",
      format: "date-time",
      pattern: "^(19[7-9][0-9]|[2-9][0-9]{3})-",
      examples: ["2026-01-31T08:30:00Z"],
    })
    .optional(),
})
  .superRefine((one, context) => {
    const path = ["message"];
    if (one.message === undefined && one.body === undefined) {
      context.addIssue({ code: "custom", path, message: "must be there" });
    } else if (one.message !== undefined && one.body !== undefined && one.message !== one.body) {
      context.addIssue({ code: "custom", path, message: "must be the same as message.body" });
    }
  })
  // That both may be there where they are the same, JSON Schema cannot say.
  .meta({ [ONE_OF]: ["message", "body"] });

/** The bodies of requests. */
export const bodies = {
  application: object({ application: object({ name }) }),
  chat: object({
    chat: object({
      external_id: text({
        description:
          "The caller's own name for the chat, unique in its application. The chat that has it, " +
          "whoever created it and however long ago, is the answer, and nothing is created.",
        maxLength: 255,
        pattern: WITHOUT_NUL,
        examples: ["order-17"],
      }).optional(),
      attributes: attributes.optional(),
    }).optional(),
  }),
  message: object({ message }),
};

/** A value of the query string or the path. */
export interface Parameter {
  schema: Record<string, unknown>;
  description: string;
  required?: boolean;
  /** The value, or undefined where the text is none. */
  read(text: string): unknown;
  /** What it must be, for who sends another. */
  must: string;
}

function whole(min: number, max: number, description: string): Parameter {
  return {
    schema: { type: "integer", minimum: min, maximum: max },
    description,
    must: `must be ${min} to ${max}`,
    read: (text) => {
      const value = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN;
      return value >= min && value <= max ? value : undefined;
    },
  };
}

function words(schema: Record<string, unknown>, description: string): Parameter {
  return {
    schema: { type: "string", ...schema },
    description,
    must: "must be text",
    read: (one) => one,
  };
}

function oneOf(names: string[], description: string): Parameter {
  return {
    schema: { type: "string", enum: names },
    description,
    must: `must be ${names.join(", ")} or left out`,
    read: (one) => (names.includes(one) ? one : undefined),
  };
}

function state(...names: string[]): Parameter {
  return oneOf(
    names,
    "Answer only when this state is reached. Shortly before its time is over (5 s) the call " +
      "answers with the state that was reached.",
  );
}

/** The number of a message, 0 for none. */
function number(description: string): Parameter {
  return whole(0, Number.MAX_SAFE_INTEGER, description);
}

const page = {
  page_size: whole(0, 2_147_483_647, "0 means 50; more than 1,000 is lowered to 1,000."),
  page_token: words(
    { maxLength: PAGE_TOKEN_CHARACTERS_MAX },
    "`next_page_token` of the page before; empty or left out for the first page.",
  ),
};

/** The query strings of requests. */
export const queries = {
  none: {},
  page,
  messages: {
    order_by: oneOf(["number", "number desc"], "Lowest number first unless told otherwise."),
    after_number: number("Only messages with a higher number; 0 means from the first."),
    before_number: number("Only messages with a lower number; 0 means to the last."),
    ...page,
  },
  search: {
    message: {
      ...words(
        { minLength: 1, maxLength: QUERY_CHARACTERS_MAX, examples: ["hell"] },
        'Each word must occur in the message, also inside a word, and a "quoted part" as it ' +
          "stands. Case, accents, Arabic vowel marks, tatweel and alef forms, and full-width " +
          "forms do not matter. A query of nothing else (say, of blanks) is refused.",
      ),
      required: true,
    },
    ...page,
  },
  chatState: { wait_for: state("STATE_ACCEPTED", "STATE_PERSISTED") },
  messageState: { wait_for: state("STATE_ACCEPTED", "STATE_PERSISTED", "STATE_SEARCHABLE") },
} satisfies Record<string, Record<string, Parameter>>;

/** What paths carry. */
export const pathParameters: Record<"token" | "number", Parameter> = {
  token: words(
    {
      format: "uuid",
      pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
      examples: ["31429462-3a09-4d49-9478-a9bb932ccd86"],
    },
    "The token of the application.",
  ),
  number: whole(1, Number.MAX_SAFE_INTEGER, "The number of the chat in its application."),
};
