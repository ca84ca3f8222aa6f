import { z } from "zod";
import { State } from "../../gen/parley/v1/state.ts";
import { covers } from "../core/edits.ts";
import {
  ATTRIBUTES_MAX,
  AUTHOR_CHARACTERS_MAX,
  BATCH_MESSAGES_MAX,
  BODY_BYTES_MAX,
  EXTERNAL_ID_CHARACTERS_MAX,
  NAME_CHARACTERS_MAX,
  ORIGINAL_MS,
  PAGE_TOKEN_CHARACTERS_MAX,
  QUERY_CHARACTERS_MAX,
} from "../core/limits.ts";
import { ParleyError, type Violation } from "../errors.ts";

// The rules of every request, by the names of the generated types. Each message says the bound, so
// that the error is enough to mend the call.

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TOKEN = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const token = z.string().regex(TOKEN, "must be a lower-case UUID of version 4");
const requestId = z.string().refine((id) => id === "" || UUID.test(id.toLowerCase()), {
  error: "must be a UUID, or left out",
});
const number = z.number().int().min(1, "must be 1 to 9007199254740991");
const ifVersion = z.number().int().min(0, "must be 0 (any version) to 9007199254740991");
const bound = z.number().int().min(0, "must be 0 (no bound) to 9007199254740991");
const position = z.number().int().min(0, "must be 0 (none) to 9007199254740991");
const pageSize = z.number().int().min(0, "must be 0 (meaning 50) or more");
const pageToken = z
  .string()
  .max(PAGE_TOKEN_CHARACTERS_MAX, `must be at most ${PAGE_TOKEN_CHARACTERS_MAX} characters`);

function characters(min: number, max: number) {
  const error = `must be ${min} to ${max} characters without NUL`;
  return z
    .string()
    .refine((text) => countWithin(text, min, max) && !text.includes("\0"), { error });
}

/** Counts code points, and only where the count of UTF-16 units does not settle it. */
function countWithin(text: string, min: number, max: number): boolean {
  if (text.length > 2 * max) return false;
  const count = text.length <= max ? text.length : [...text].length;
  return count >= min && count <= max;
}

const BODY = `must be 1 to ${BODY_BYTES_MAX} bytes of UTF-8 without NUL`;
const body = z
  .string()
  .refine(
    (text) => text.length > 0 && !text.includes("\0") && Buffer.byteLength(text) <= BODY_BYTES_MAX,
    { error: BODY },
  );

const attributes = z.custom<Record<string, string>>(
  (map) => {
    const entries = Object.entries(map as Record<string, string>);
    if (entries.length > ATTRIBUTES_MAX.entries) return false;
    let bytes = 0;
    for (const [key, value] of entries) {
      if (!countWithin(key, 1, ATTRIBUTES_MAX.keyCharacters)) return false;
      if (key.includes("\0") || value.includes("\0")) return false;
      bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    }
    return bytes <= ATTRIBUTES_MAX.bytes;
  },
  {
    error:
      `must be at most ${ATTRIBUTES_MAX.entries} entries and ${ATTRIBUTES_MAX.bytes} bytes ` +
      `together, with keys of 1 to ${ATTRIBUTES_MAX.keyCharacters} characters, without NUL`,
  },
);

const originalTime = z
  .custom<Date>(
    (time) => Number(time) >= ORIGINAL_MS.min && Number(time) <= ORIGINAL_MS.max,
    "must be 1970-01-01T00:00:00Z to 9999-12-31T23:59:59.999Z",
  )
  .optional();

/** The states that a caller may wait for; one that has no meaning here is refused, not ignored. */
function waitFor(...states: State[]) {
  const names = states.map(
    (state) => Object.entries(State).find(([, value]) => value === state)?.[0],
  );
  const error = `must be ${names.join(", ")} or left out`;
  return z.custom<State>((state) => state === 0 || states.includes(state as State), { error });
}

const required = <T extends z.ZodRawShape>(shape: T) => z.object(shape, { error: "must be there" });

const OUTPUT_ONLY = ["token", "chats_count", "count_time", "create_time", "update_time"];
const updateMask = z
  .array(
    z.string().refine((path) => path === "name" || path === "*" || OUTPUT_ONLY.includes(path), {
      error: "must be name or *",
    }),
  )
  .max(32, "must have at most 32 paths")
  .optional();

const externalId = characters(0, EXTERNAL_ID_CHARACTERS_MAX);
const author = characters(0, AUTHOR_CHARACTERS_MAX);
const message = { body, author, attributes, originalTime };
const messageMask = z
  .array(
    z.string().refine((path) => ["body", "attributes", "*"].includes(path), {
      error: "must be body, attributes or *",
    }),
  )
  .max(32, "must have at most 32 paths")
  .optional();

const chatKey = { applicationToken: token, chatNumber: number };
const page = { pageSize, pageToken };
const name = characters(1, NAME_CHARACTERS_MAX);
const { STATE_ACCEPTED, STATE_PERSISTED, STATE_SEARCHABLE } = State;

export const rules = {
  createApplication: z.object({ application: required({ name }), requestId }),
  getApplication: z.object({ applicationToken: token }),
  listApplications: z.object(page),
  updateApplication: z
    .object({ application: required({ token, name: z.string() }), updateMask })
    .refine(
      ({ application, updateMask }) =>
        !names(updateMask) || name.safeParse(application.name).success,
      {
        error: `must be 1 to ${NAME_CHARACTERS_MAX} characters without NUL`,
        path: ["application", "name"],
      },
    ),
  deleteApplication: z.object({ applicationToken: token }),
  createChat: z.object({
    applicationToken: token,
    chat: z.object({ externalId, attributes }).optional(),
    requestId,
    waitFor: waitFor(STATE_ACCEPTED, STATE_PERSISTED),
  }),
  getChat: z
    .object({ applicationToken: token, number: z.number(), externalId })
    .refine(
      (request) => request.number > 0 || (request.number === 0 && request.externalId !== ""),
      {
        error: "must be 1 to 9007199254740991, or left out where external_id is set",
        path: ["number"],
      },
    )
    .refine((request) => request.number === 0 || request.externalId === "", {
      error: "must be empty where number is set",
      path: ["externalId"],
    }),
  listChats: z.object({ applicationToken: token, ...page }),
  deleteChat: z.object({ applicationToken: token, number }),
  createMessage: z.object({
    ...chatKey,
    message: required(message),
    requestId,
    waitFor: waitFor(STATE_ACCEPTED, STATE_PERSISTED, STATE_SEARCHABLE),
  }),
  batchCreateMessages: z.object({
    ...chatKey,
    messages: z
      .array(z.object(message))
      .min(1, `must be 1 to ${BATCH_MESSAGES_MAX} messages`)
      .max(BATCH_MESSAGES_MAX, `must be 1 to ${BATCH_MESSAGES_MAX} messages`),
    requestId,
    waitFor: waitFor(STATE_ACCEPTED, STATE_PERSISTED, STATE_SEARCHABLE),
  }),
  updateMessage: z
    .object({
      ...chatKey,
      number,
      message: required({ body: z.string(), attributes }),
      updateMask: messageMask,
      ifVersion,
    })
    .refine(
      ({ message, updateMask }) =>
        !covers(updateMask, "body") || body.safeParse(message.body).success,
      { error: BODY, path: ["message", "body"] },
    ),
  deleteMessage: z.object({ ...chatKey, number, ifVersion }),
  getMessage: z.object({ ...chatKey, number }),
  listMessages: z.object({
    ...chatKey,
    ...page,
    orderBy: z.string().regex(/^\s*(number(\s+(asc|desc))?)?\s*$/, "must be number or number desc"),
    afterNumber: bound,
    beforeNumber: bound,
  }),
  searchMessages: z.object({ ...chatKey, ...page, query: characters(1, QUERY_CHARACTERS_MAX) }),
  watchMessages: z.object({ ...chatKey, afterNumber: bound, afterChange: position.optional() }),
};

/** True where the mask, an empty one included, covers the name. */
function names(mask: string[] | undefined): boolean {
  return mask === undefined || mask.length === 0 || mask.includes("name") || mask.includes("*");
}

/** An error travels in headers, which may not be long. */
const VIOLATIONS_MAX = 32;

/** Throws FIELD_INVALID with every field that breaks its rule, or the first ones of very many. */
export function check(rule: z.ZodType, request: unknown): void {
  const result = rule.safeParse(request);
  if (result.success) return;
  const violations: Violation[] = result.error.issues.slice(0, VIOLATIONS_MAX).map((issue) => ({
    field: pathOf(issue.path),
    description: issue.message,
  }));
  const message = violations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  throw new ParleyError("FIELD_INVALID", message, { violations });
}

/** The path as the proto file writes it: `messages[3].body`, `update_mask.paths[0]`. */
function pathOf(path: PropertyKey[]): string {
  let text = "";
  for (const [at, step] of path.entries()) {
    // A mask is decoded to its paths.
    if (typeof step === "number")
      text += path[at - 1] === "updateMask" ? `.paths[${step}]` : `[${step}]`;
    else {
      const snake = String(step).replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      text += text === "" ? snake : `.${snake}`;
    }
  }
  return text;
}
