import { type Attributes, parseAttributes, textOfAttributes } from "../../core/attributes.ts";
import type { Job } from "../../core/jobs.ts";
import type { Database, Session } from "./database.ts";
import { WORDS } from "./dialects.ts";
import type { CounterKey } from "./keys.ts";

/** A job and the row it becomes. */
export interface Placed {
  job: Job;
  /** Its counter, and so the first part of its row's key. */
  key: CounterKey;
}

/** What a row says of the job that it came from. */
export interface Content {
  createMs: number;
  requestId: string | undefined;
  externalId?: string | undefined;
  attributes?: Attributes | undefined;
  body?: string;
  author?: string;
  originalMs?: number | undefined;
  /** Of a row that was changed since: above 1. */
  version?: number;
}

interface StoredRow {
  application_id: number;
  chat_number: number;
  number: number;
  create_time: string | number;
  request_id: string | null;
  external_id: string | null;
  attributes: string | null;
  original_time: string | number | null;
  body?: string;
  author?: string;
  version?: number;
}

/** The rows that are there already, by nameOfRow. */
export async function findStored(
  database: Database,
  em: Session,
  placed: Placed[],
): Promise<Map<string, Content>> {
  const { given } = WORDS[database.dialect];
  const keysOf = (kind: Job["kind"]) => {
    const rows = placed.filter((one) => one.job.kind === kind);
    return JSON.stringify(
      rows.map(({ key, job }) => [key.applicationId, key.chatNumber, job.number]),
    );
  };
  const chats = await database.rows<StoredRow>(
    em,
    `SELECT c.application_id, 0 AS chat_number, c.number, c.create_time, c.request_id,
      c.external_id, c.attributes, NULL AS original_time
      FROM ${given} JOIN chats c
      ON c.application_id = given.application_id AND c.number = given.value`,
    [keysOf("chat")],
  );
  const messages = await database.rows<StoredRow>(
    em,
    `SELECT m.application_id, m.chat_number, m.number, m.create_time, m.request_id,
      NULL AS external_id, m.attributes, m.original_time, m.body, m.author, m.version
      FROM ${given} JOIN messages m ON m.application_id = given.application_id
      AND m.chat_number = given.number AND m.number = given.value`,
    [keysOf("message")],
  );
  return new Map([...chats, ...messages].map((row) => [nameOfStored(row), contentOf(row)]));
}

export function nameOfRow({ key, job }: Placed): string {
  return `${key.applicationId}:${key.chatNumber}:${job.number}`;
}

function nameOfStored(row: StoredRow): string {
  return `${row.application_id}:${row.chat_number}:${row.number}`;
}

function contentOf(row: StoredRow): Content {
  const { body, author, version, original_time: originalTime } = row;
  const base = {
    createMs: msOf(row.create_time),
    requestId: row.request_id ?? undefined,
    externalId: row.external_id ?? undefined,
    attributes: parseAttributes(row.attributes),
    originalMs: originalTime === null ? undefined : msOf(originalTime),
  };
  if (body === undefined || author === undefined || version === undefined) return base;
  return { ...base, body, author, version };
}

/** MySQL's driver gives times as text, in the session's UTC; SQLite keeps milliseconds. */
export function msOf(time: string | number): number {
  return typeof time === "number" ? time : Date.parse(`${time.replace(" ", "T")}Z`);
}

/**
 * The name of the first thing in which a job and what is stored differ. A message that was changed
 * since says other things than its job, and is told by what no change touches.
 */
export function differenceOf(job: Content, stored: Content): string | undefined {
  const changed = (stored.version ?? 1) > 1;
  if (!changed && job.body !== stored.body) return "body";
  if (job.author !== stored.author) return "author";
  if (job.createMs !== stored.createMs) return "create time";
  if (job.externalId !== stored.externalId) return "external id";
  if (job.originalMs !== stored.originalMs) return "original time";
  if (!changed && textOfAttributes(job.attributes) !== textOfAttributes(stored.attributes)) {
    return "attributes";
  }
  return job.requestId === stored.requestId ? undefined : "request id";
}
