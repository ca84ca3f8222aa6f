import { ParleyError, type Violation } from "./errors.ts";

/** By its flag it takes a whole pair for one character, which is no surrogate. */
const HALF_PAIR = /\p{Surrogate}/u;

/** The generated type of a request. */
interface Type<Fields, Request> {
  fromPartial(fields: Fields): Request;
}

/**
 * A request with these fields. Left to itself the encoder turns half a surrogate pair into U+FFFD,
 * so that the server would store another text, and loses the key `__proto__` of a map. Both are
 * refused here as the server refuses them where it can see them.
 */
export function requestOf<Fields, Request>(type: Type<Fields, Request>, fields: Fields): Request {
  const violations = [...faultsOf(fields, "")];
  if (violations.length === 0) return type.fromPartial(fields);
  const message = violations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  throw new ParleyError("INVALID_ARGUMENT", message, { reason: "FIELD_INVALID", violations });
}

function* faultsOf(value: unknown, field: string): Generator<Violation> {
  if (typeof value === "string" && HALF_PAIR.test(value)) {
    yield { field, description: "must be valid UTF-8" };
  }
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const [at, one] of value.entries()) yield* faultsOf(one, `${field}[${at}]`);
    return;
  }
  for (const [key, one] of Object.entries(value)) {
    const name = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const path = field === "" ? name : `${field}.${name}`;
    if (key === "attributes") yield* faultsOfMap(one, path);
    else yield* faultsOf(one, path);
  }
}

function* faultsOfMap(map: Record<string, unknown> = {}, field: string): Generator<Violation> {
  if (Object.hasOwn(map, "__proto__")) {
    yield { field, description: "must not have the key __proto__" };
    return;
  }
  const texts = Object.entries(map).flat().map(String);
  if (texts.some((one) => HALF_PAIR.test(one))) {
    yield { field, description: "must have keys and values of valid UTF-8" };
  }
}
