import { hash } from "node:crypto";
import { type Attributes, sortedAttributes } from "./attributes.ts";

/** What every job knows. `epoch` and `accept` say in which life of the counters it was accepted. */
interface JobBase {
  applicationToken: string;
  number: number;
  /** When it was accepted, in milliseconds since 1970. */
  createMs: number;
  requestId: string | undefined;
  epoch: number;
  /** The running number of the accept within its epoch, from 1. */
  accept: number;
  /** W3C's `traceparent` of the call that left it; absent where that was not traced. */
  trace?: string;
}

export interface ChatJob extends JobBase {
  kind: "chat";
  /** The caller's own name for it, where it has one. */
  externalId?: string | undefined;
  attributes?: Attributes | undefined;
}

/** What the caller says in a message. */
export interface MessageContent {
  body: string;
  author: string;
  attributes?: Attributes | undefined;
  /** When it was written where it comes from, in milliseconds since 1970. */
  originalMs?: number | undefined;
}

export interface MessageJob extends JobBase, MessageContent {
  kind: "message";
  chatNumber: number;
}

/** What the door leaves for the worker. */
export type Job = ChatJob | MessageJob;

/** A job before the accept: number, epoch and running number are filled in by the atomic step. */
export type JobDraft =
  | Omit<ChatJob, "number" | "epoch" | "accept">
  | Omit<MessageJob, "number" | "epoch" | "accept">;

/** Drafts of messages that are accepted together. */
export type BatchDraft = Omit<MessageJob, keyof MessageContent | "number" | "epoch" | "accept"> & {
  messages: MessageContent[];
};

/** The version of the wire format below; a reader refuses every other one. */
const FORMAT = 1;

/**
 * A draft as JSON in two halves, around the three numbers that only the atomic step knows:
 * `head + number + ',"epoch":' + epoch + ',"accept":' + accept + tail` is the whole job. So no JSON
 * is parsed or written where the number is given.
 */
export function encodeDraft(draft: JobDraft): { head: string; tail: string } {
  const fields = fieldsOf(draft);
  if (draft.kind === "message") Object.assign(fields, contentOf(draft));
  else {
    if (draft.externalId !== undefined) fields.external = draft.externalId;
    const attributes = sortedAttributes(draft.attributes);
    if (attributes !== undefined) fields.attributes = attributes;
  }
  return { head: `${JSON.stringify(fields).slice(0, -1)},"number":`, tail: "}" };
}

/** The same for messages that are accepted together: `head + contents[at]` is the head of each. */
export function encodeBatch(batch: BatchDraft): { head: string; contents: string[]; tail: string } {
  const contents = batch.messages.map(
    (message) => `${JSON.stringify(contentOf(message)).slice(1, -1)},"number":`,
  );
  return { head: `${JSON.stringify(fieldsOf(batch)).slice(0, -1)},`, contents, tail: "}" };
}

function fieldsOf(draft: JobDraft | BatchDraft): Record<string, unknown> {
  const fields: Record<string, unknown> = {
    v: FORMAT,
    kind: draft.kind,
    application: draft.applicationToken,
    time: draft.createMs,
  };
  if (draft.requestId !== undefined) fields.request = draft.requestId;
  if (draft.trace !== undefined) fields.trace = draft.trace;
  if (draft.kind === "message") fields.chat = draft.chatNumber;
  return fields;
}

/** Attributes and original time came later, and are left out where there are none. */
function contentOf({ author, body, ...more }: MessageContent): Record<string, unknown> {
  const content: Record<string, unknown> = { author, body };
  const attributes = sortedAttributes(more.attributes);
  if (attributes !== undefined) content.attributes = attributes;
  if (more.originalMs !== undefined) content.original = more.originalMs;
  return content;
}

/** The whole job as JSON, for those that know its numbers. */
export function completeDraft(
  { head, tail }: { head: string; tail: string },
  given: { number: number; epoch: number; accept: number },
): string {
  return `${head}${given.number},"epoch":${given.epoch},"accept":${given.accept}${tail}`;
}

/** Reads a job; throws where the format is not ours, which parks the job. */
export function decodeJob(data: unknown): Job {
  const fields = (typeof data === "string" ? JSON.parse(data) : data) as Record<string, unknown>;
  if (fields?.v !== FORMAT) throw new Error(`job format ${String(fields?.v)} is not ${FORMAT}`);
  const base = {
    applicationToken: stringOf(fields, "application"),
    number: numberOf(fields, "number"),
    createMs: numberOf(fields, "time"),
    requestId: fields.request === undefined ? undefined : stringOf(fields, "request"),
    epoch: numberOf(fields, "epoch"),
    accept: numberOf(fields, "accept"),
    // No reason to refuse a job, whatever it is.
    ...(typeof fields.trace === "string" && { trace: fields.trace }),
  };
  const attributes = fields.attributes === undefined ? {} : { attributes: mapOf(fields) };
  if (fields.kind === "chat") {
    const named = fields.external === undefined ? {} : { externalId: stringOf(fields, "external") };
    return { kind: "chat", ...base, ...named, ...attributes };
  }
  if (fields.kind !== "message") throw new Error(`job kind ${String(fields.kind)} is unknown`);
  return {
    kind: "message",
    ...base,
    chatNumber: numberOf(fields, "chat"),
    body: stringOf(fields, "body"),
    author: stringOf(fields, "author"),
    ...attributes,
    ...(fields.original === undefined ? {} : { originalMs: numberOf(fields, "original") }),
  };
}

/** `<token>:<chat>` or `<token>:<chat>:<message>`: unique for ever, since numbers are. */
export function jobIdOf(job: {
  applicationToken: string;
  chatNumber?: number;
  number: number;
}): string {
  const chat = job.chatNumber === undefined ? "" : `${job.chatNumber}:`;
  return `${job.applicationToken}:${chat}${job.number}`;
}

/** The counter and number of an id that jobIdOf made; undefined for any other text. */
export function counterOfJobId(
  id: string,
): { counter: { applicationToken: string; chatNumber?: number }; number: number } | undefined {
  const [, applicationToken, chat, number] = /^([0-9a-f-]{36}):(?:(\d+):)?(\d+)$/.exec(id) ?? [];
  if (applicationToken === undefined) return undefined;
  const inChat = chat === undefined ? {} : { chatNumber: Number(chat) };
  return { counter: { applicationToken, ...inChat }, number: Number(number) };
}

/** The request id of a call, in lower case, since UUIDs compare without; undefined for none. */
export function requestIdOf(request: { requestId: string }): string | undefined {
  return request.requestId === "" ? undefined : request.requestId.toLowerCase();
}

/** What tells a retry: its request id and its content; undefined where there is no request id. */
export function retryOf(
  requestId: string | undefined,
  digest: () => string,
): { id: string; digest: string } | undefined {
  return requestId === undefined ? undefined : { id: requestId, digest: digest() };
}

/** Tells one content from another for a request id that comes again; 64 bits, as hex. */
export function digestOf(...content: string[]): string {
  let text = "";
  for (const part of content) text += `${Buffer.byteLength(part)}:${part}`;
  return hash("sha256", text).slice(0, 16);
}

function stringOf(fields: Record<string, unknown>, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw new Error(`job field ${name} is no string`);
  return value;
}

function mapOf({ attributes }: Record<string, unknown>): Attributes {
  const entries = Object.entries((attributes ?? {}) as Record<string, unknown>);
  if (entries.length === 0 || entries.some(([, value]) => typeof value !== "string")) {
    throw new Error("job field attributes is no map of strings");
  }
  return attributes as Attributes;
}

function numberOf(fields: Record<string, unknown>, name: string): number {
  const value = fields[name];
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw new Error(`job field ${name} is no whole number`);
  }
  return value as number;
}
