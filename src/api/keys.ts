import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { ParleyError } from "../errors.ts";

// A key is `parley_<id>_<secret>`: 256 random bits behind a name that may be seen. The file of keys
// holds the SHA-256 of each, never a key. A slow hash is for passwords, which can be guessed; no
// number of guesses finds 256 random bits.

const scopes = ["read", "write"] as const;
export type Scope = (typeof scopes)[number];

const KEY = /^bearer +(parley_([a-z0-9]{4,32})_[A-Za-z0-9_-]{43})$/i;
const AUTHORIZATION_CHARACTERS_MAX = 128;
const ID_BYTES = 5;
const SECRET_BYTES = 32;
const KEYS_MAX = 10_000;
const APPLICATIONS_MAX = 1_000;
const COMMENT_CHARACTERS_MAX = 255;
const TOKEN = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Fields by their names alone: what stands in the file by mistake may be a key. */
function strict<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape, {
    error: ({ code }) =>
      code === "unrecognized_keys" ? "has a field that is not known" : "must be an object",
  });
}

const entry = strict({
  id: z
    .string({ error: "must be text" })
    .regex(/^[a-z0-9]{4,32}$/, "must be 4 to 32 characters of a-z and 0-9"),
  hash: z
    .string({ error: "must be text" })
    .regex(/^sha256:[0-9a-f]{64}$/, "must be sha256: and 64 characters of 0-9 and a-f"),
  scopes: z
    .array(z.enum(scopes, { error: "must be read or write" }), { error: "must be a list" })
    .min(1, "must have read, write or both"),
  applications: z
    .array(
      z.string({ error: "must be text" }).regex(TOKEN, "must be a lower-case UUID of version 4"),
      { error: "must be a list" },
    )
    .min(1, "must name an application, or be left out for all of them")
    .max(APPLICATIONS_MAX, `must name at most ${APPLICATIONS_MAX} applications`)
    .optional(),
  expireTime: z.iso
    .datetime({ offset: true, error: "must be a time such as 2030-01-31T00:00:00Z" })
    .optional(),
  comment: z
    .string({ error: "must be text" })
    .max(COMMENT_CHARACTERS_MAX, `must be at most ${COMMENT_CHARACTERS_MAX} characters`)
    .optional(),
});

const fileSchema = strict({
  keys: z.array(entry, { error: "must be a list" }).max(KEYS_MAX, `must be at most ${KEYS_MAX}`),
});

/** One key as the file has it. */
export type KeyEntry = z.infer<typeof entry>;

/** What a key allows. */
export interface Key {
  id: string;
  scopes: ReadonlySet<Scope>;
  /** Undefined for all of them. */
  applications: ReadonlySet<string> | undefined;
  /** Infinity where it does not expire. */
  expireMs: number;
  hash: Buffer;
}

/** Keys by their ids. */
export type Keys = ReadonlyMap<string, Key>;

/** Reads the text of a file of keys. What it throws names the place, and never quotes the text. */
export function parseKeyFile(text: string): KeyEntry[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error("is no JSON");
  }
  const result = fileSchema.safeParse(json);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    throw new Error(`${pathOf(issue.path)} ${issue.message}`.trimStart());
  }
  const { keys } = result.data;
  const seen = new Set<string>();
  for (const [at, one] of keys.entries()) {
    if (seen.has(one.id)) throw new Error(`keys[${at}].id is there twice`);
    seen.add(one.id);
  }
  return keys;
}

function pathOf(path: PropertyKey[]): string {
  return path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`))
    .join("")
    .slice(1);
}

/** The entries of a file, ready to be asked. */
export function toKeys(entries: KeyEntry[]): Keys {
  return new Map(
    entries.map((one) => [
      one.id,
      {
        id: one.id,
        scopes: new Set(one.scopes),
        applications: one.applications && new Set(one.applications),
        expireMs:
          one.expireTime === undefined ? Number.POSITIVE_INFINITY : Date.parse(one.expireTime),
        hash: Buffer.from(one.hash.slice("sha256:".length), "hex"),
      },
    ]),
  );
}

/** Stands in for a key that is not known, so that the time of an answer does not tell ids. */
const NO_KEY = randomBytes(32);

/** The key of a call's `authorization`; KEY_INVALID where it is none. Hashes once. */
export function keyOf(keys: Keys, authorization: unknown[], nowMs: number): Key {
  const [value] = authorization;
  if (authorization.length !== 1 || typeof value !== "string") {
    throw new ParleyError("KEY_INVALID", "authorization: must be there once, as Bearer and a key");
  }
  const match = value.length <= AUTHORIZATION_CHARACTERS_MAX ? KEY.exec(value) : null;
  if (match === null) {
    throw new ParleyError("KEY_INVALID", "authorization: must be Bearer and a key of this server");
  }
  const key = keys.get(match[2]!);
  if (!timingSafeEqual(hashOf(match[1]!), key?.hash ?? NO_KEY) || key === undefined) {
    throw new ParleyError("KEY_INVALID", "authorization: the key is not known");
  }
  if (nowMs >= key.expireMs) {
    throw new ParleyError("KEY_INVALID", "authorization: the key has expired");
  }
  return key;
}

function hashOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

/** A new key, and what the file has to say of it. */
export function newKey(allows: Omit<KeyEntry, "id" | "hash">): { key: string; entry: KeyEntry } {
  const id = randomBytes(ID_BYTES).toString("hex");
  const key = `parley_${id}_${randomBytes(SECRET_BYTES).toString("base64url")}`;
  const { data, error } = entry.safeParse({
    id,
    hash: `sha256:${hashOf(key).toString("hex")}`,
    ...allows,
  });
  if (error !== undefined) {
    const issue = error.issues[0]!;
    throw new Error(`${pathOf(issue.path)} ${issue.message}`);
  }
  return { key, entry: data };
}
