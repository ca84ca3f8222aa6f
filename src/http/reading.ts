import { isUtf8 } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http";
import { Undecodable } from "../api/decoding.ts";
import { ParleyError, type Violation } from "../errors.ts";
import { Refusal, type Rename } from "./faults.ts";
import type { Given, HttpRoute } from "./routes.ts";
import { type Parameter, pathParameters } from "./shapes.ts";

/** A request as it came in. */
export interface Raw {
  path: { token?: string; number?: string };
  /** With its query string. */
  url: string;
  headers: IncomingHttpHeaders;
  body: Buffer | undefined;
}

const JSON_TYPE = /^application\/json *(; *charset="?utf-8"? *)?$/i;
/** So much of what a caller made up is said back. */
const NAMES_MAX = 10;
const NAME_CHARACTERS_MAX = 64;

/** The request of an RPC that a request of HTTP is, or what is wrong with its shape. */
export function readRequest(route: HttpRoute, raw: Raw): unknown {
  const { token } = raw.path;
  try {
    const faults: Violation[] = [];
    const path = readAll(pathParameters, Object.entries(raw.path), faults);
    const query = readAll(route.query, pairsOf(raw.url, faults), faults);
    const requestId = route.creates ? requestIdOf(raw.headers, faults) : "";
    const body = route.body && readBody(route, raw, faults);
    if (faults.length > 0) throw invalid(faults);
    return route.request({ ...path, query, body, requestId } as Given<unknown>);
  } catch (error) {
    if (error instanceof ParleyError) return new Undecodable(error, token);
    throw error;
  }
}

/** What the rules call a field, as this request writes it. */
export function renameFor(route: HttpRoute, raw: Raw): Rename {
  // Only a message has two names for its body; one that is broken is not read as far as that.
  const written = route.body !== undefined && raw.body?.includes('"body"') ? "body" : "message";
  const names = new Map([
    ["application_token", "token"],
    ["application.token", "token"],
    ["chat_number", "number"],
    ["request_id", "Idempotency-Key"],
    ["query", "message"],
    ["message.body", `message.${written}`],
  ]);
  return (field) => names.get(field) ?? field;
}

function invalid(violations: Violation[]): ParleyError {
  const message = violations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  return new ParleyError("FIELD_INVALID", message, { violations });
}

/** Reads what comes as text, each name once. */
function readAll(
  parameters: Record<string, Parameter>,
  pairs: [string, string][],
  faults: Violation[],
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  const seen = new Set<string>();
  for (const [name, text] of pairs) {
    const field = name.slice(0, NAME_CHARACTERS_MAX);
    const parameter = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    if (faults.length >= NAMES_MAX) break;
    if (seen.has(name)) faults.push({ field, description: "must be there once" });
    else if (parameter === undefined) faults.push({ field, description: "is not known" });
    else {
      values[name] = parameter.read(text);
      if (values[name] === undefined) faults.push({ field, description: parameter.must });
    }
    seen.add(name);
  }
  for (const [name, parameter] of Object.entries(parameters)) {
    const broken = faults.some(({ field }) => field === name);
    if (parameter.required && !seen.has(name) && !broken) {
      faults.push({ field: name, description: "must be there" });
    }
  }
  return values;
}

/** The pairs of a query string; what is no UTF-8 behind its percent signs is refused. */
function pairsOf(url: string, faults: Violation[]): [string, string][] {
  const start = url.indexOf("?");
  if (start < 0) return [];
  const pairs: [string, string][] = [];
  for (const part of url.slice(start + 1).split("&")) {
    if (part === "") continue;
    const [name, ...rest] = part.split("=");
    try {
      pairs.push([decode(name!), decode(rest.join("="))]);
    } catch {
      const field = name!.slice(0, NAME_CHARACTERS_MAX);
      faults.push({ field, description: "must be UTF-8, percent-encoded" });
    }
  }
  return pairs;
}

function decode(text: string): string {
  return decodeURIComponent(text.replaceAll("+", " "));
}

/** Empty where the caller gives none; one that is there and empty is a slip. */
function requestIdOf(headers: IncomingHttpHeaders, faults: Violation[]): string {
  const value = headers["idempotency-key"];
  const description = "must be a UUID, or left out";
  if (value === "") faults.push({ field: "Idempotency-Key", description });
  return value === undefined ? "" : String(value);
}

function readBody(route: HttpRoute, raw: Raw, faults: Violation[]): unknown {
  const { headers, body } = raw;
  if (body === undefined || body.length === 0) {
    if (!route.bodyRequired) return undefined;
    faults.push({ field: "*", description: "must have a body" });
    return undefined;
  }
  const type = headers["content-type"] ?? "";
  const encoding = headers["content-encoding"] ?? "identity";
  if (!JSON_TYPE.test(type) || encoding !== "identity") {
    throw new Refusal("CONTENT_TYPE_UNSUPPORTED", "Content-Type: must be application/json");
  }
  const json = parse(body);
  if (json === undefined) {
    faults.push({ field: "*", description: "must be JSON in UTF-8" });
    return undefined;
  }
  const result = route.body!.safeParse(json);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    // A name that is not known is an issue of the object that has it.
    const unknown = issue.code === "unrecognized_keys";
    for (const name of unknown ? issue.keys.slice(0, NAMES_MAX) : [undefined]) {
      const path = name === undefined ? issue.path : [...issue.path, name];
      const field = path.map((one) => String(one).slice(0, NAME_CHARACTERS_MAX)).join(".") || "*";
      faults.push({ field, description: unknown ? "is not known" : issue.message });
    }
  }
  return undefined;
}

function parse(body: Buffer): unknown {
  if (!isUtf8(body)) return undefined;
  try {
    // JSON would set the prototype of nothing, but what is made of it later might.
    return JSON.parse(body.toString("utf8"), (name, value) => {
      if (name === "__proto__") throw new Error("a name that is refused");
      return value;
    });
  } catch {
    return undefined;
  }
}
