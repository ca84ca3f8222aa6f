import type { Message } from "../../../gen/parley/v1/message.ts";
import { State } from "../../../gen/parley/v1/state.ts";
import { parseAttributes } from "../../core/attributes.ts";
import { DELETED_ALL } from "../../core/deletion.ts";
import type { ChatKey } from "../../core/ports.ts";
import type { Database, Session, Value } from "./database.ts";
import { msOf } from "./stored.ts";

/** A time as the drivers give it. */
type Time = string | number;

interface Row {
  number: number;
  body: string;
  author: string;
  create_time: Time;
  version: number;
  edit_time: Time | null;
  delete_time: Time | null;
  change_number: number | null;
  attributes: string | null;
  original_time: Time | null;
}

/** A message, and which change of its chat its last one was. */
export interface Read {
  message: Message;
  changeNumber: number | undefined;
}

/**
 * The messages of a chat, by the primary key: the join finds one row by the token. The rows of a
 * deleted chat are taken away later than it is gone. Written by hand, since to build the statement
 * would take longer than the server takes to answer it.
 */
export const SELECT_MESSAGES = `SELECT m.number, m.body, m.author, m.create_time, m.version,
    m.edit_time, m.delete_time, m.change_number, m.attributes, m.original_time
  FROM messages m JOIN applications a ON a.id = m.application_id
  WHERE a.token = ? AND a.delete_time IS NULL AND m.chat_number = ?
    AND NOT EXISTS (SELECT 1 FROM ceilings c WHERE c.application_id = a.id
      AND c.chat_number = ? AND c.deleted_through = ?)`;

/** The values of SELECT_MESSAGES. */
export function valuesOf({ applicationToken, chatNumber }: ChatKey): Value[] {
  return [applicationToken, chatNumber, chatNumber, DELETED_ALL];
}

/** Messages of a chat; `more` goes on from SELECT_MESSAGES. */
export async function readMessages(
  database: Database,
  em: Session,
  key: ChatKey,
  more: { sql: string; values: Value[]; signal?: AbortSignal | undefined },
): Promise<Read[]> {
  const values = [...valuesOf(key), ...more.values];
  const rows = await database.rows<Row>(em, `${SELECT_MESSAGES} ${more.sql}`, values, more.signal);
  return rows.map((row) => ({
    message: messageOf(row, key),
    changeNumber: row.change_number ?? undefined,
  }));
}

function messageOf(row: Row, { applicationToken, chatNumber }: ChatKey): Message {
  const { number, body, author, version } = row;
  return {
    applicationToken,
    chatNumber,
    number,
    body,
    author,
    createTime: new Date(msOf(row.create_time)),
    state: State.STATE_PERSISTED,
    editTime: timeOf(row.edit_time),
    deleteTime: timeOf(row.delete_time),
    attributes: parseAttributes(row.attributes),
    originalTime: timeOf(row.original_time),
    version,
  };
}

function timeOf(time: Time | null): Date | undefined {
  return time === null ? undefined : new Date(msOf(time));
}
