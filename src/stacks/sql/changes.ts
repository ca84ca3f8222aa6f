import type { Message } from "../../../gen/parley/v1/message.ts";
import { textOfAttributes } from "../../core/attributes.ts";
import type { Change, ChangeStep, Content } from "../../core/changes.ts";
import type { ChatKey } from "../../core/ports.ts";
import type { Database, Session } from "./database.ts";
import { WORDS } from "./dialects.ts";
import { ChatRow, MessageChangeRow, MessageRow } from "./entities.ts";
import { noteOwnGap } from "./gaps.ts";
import { holdAll, isDeleted } from "./held.ts";
import { type CounterKey, findCounterKey } from "./keys.ts";
import { readMessages } from "./messages.ts";

export type NumberedMessage = { key: ChatKey; number: number };

/** A message and its chat, locked until the transaction ends. */
interface Locked {
  counter: CounterKey;
  message: Message;
  /** The number of its last change. */
  last: number | undefined;
  chat: { changeCount: number; deletedCount: number };
}

/** See Changes.updateMessage. */
export async function updateMessage(
  database: Database,
  em: Session,
  at: NumberedMessage,
  { ifVersion, now, ...content }: Content & ChangeStep,
): Promise<Change> {
  const locked = await lock(database, em, at);
  if (locked === undefined) return { kind: "missing" };
  const { message } = locked;
  if (message.deleteTime !== undefined) return { kind: "tombstone" };
  if (ifVersion !== 0 && ifVersion !== message.version) return mismatch(message);
  const { body, attributes } = { ...message, ...content };
  if (isSame({ body, attributes }, message)) return { kind: "unchanged", message };
  return write(database, em, locked, { body, attributes, editTime: now });
}

/** See Changes.deleteMessage. A tombstone is what its caller wanted, whatever its version. */
export async function deleteMessage(
  database: Database,
  em: Session,
  at: NumberedMessage,
  { ifVersion, now }: ChangeStep,
): Promise<Change> {
  const locked = await lock(database, em, at);
  if (locked === undefined) return { kind: "missing" };
  const { message, chat } = locked;
  if (message.deleteTime !== undefined) return { kind: "unchanged", message };
  if (ifVersion !== 0 && ifVersion !== message.version) return mismatch(message);
  chat.deletedCount++;
  return write(database, em, locked, { ...NOTHING, deleteTime: now });
}

/** See Changes.listChanges. One statement, so that order and messages are of one moment. */
export async function listChanges(
  database: Database,
  em: Session,
  key: ChatKey,
  { after, limit, signal }: { after: number; limit: number; signal?: AbortSignal },
): Promise<{ changeNumber: number; message: Message }[]> {
  const counter = await findCounterKey(database, em, key);
  if (counter === undefined) return [];
  const sql = `AND m.number IN (SELECT number FROM (SELECT number FROM message_changes
      WHERE application_id = ? AND chat_number = ? AND change_number > ?
      ORDER BY change_number LIMIT ${limit}) AS changed)
    ORDER BY m.change_number`;
  const values = [counter.applicationId, counter.chatNumber, after];
  const found = await readMessages(database, em, key, { sql, values, signal });
  return found.map(({ message, changeNumber }) => ({ changeNumber: changeNumber!, message }));
}

/** See Changes.changeCount. */
export async function changeCount(database: Database, em: Session, key: ChatKey): Promise<number> {
  const [row] = await database.rows<{ change_count: number }>(
    em,
    `SELECT c.change_count FROM applications a JOIN chats c ON c.application_id = a.id
      WHERE a.token = ? AND a.delete_time IS NULL AND c.number = ?`,
    [key.applicationToken, key.chatNumber],
  );
  return row?.change_count ?? 0;
}

/** What of a message can be changed, as its row has it. */
function rowOf({ body, attributes }: Said) {
  return { body, attributes: textOfAttributes(attributes) ?? null };
}

type Said = Pick<Message, "body" | "attributes">;

const NOTHING: Said = { body: "", attributes: {} };

function isSame(one: Said, other: Said): boolean {
  return JSON.stringify(rowOf(one)) === JSON.stringify(rowOf(other));
}

function mismatch({ version }: Message): Change {
  return { kind: "mismatch", version };
}

/**
 * Locks in the order of every writer: counters, chat, message. Who holds the counters shared has
 * nobody delete the chat or the application meanwhile, nor let the message expire. Who has the
 * chat's row alone gives its changes their numbers.
 */
async function lock(
  database: Database,
  em: Session,
  { key, number }: NumberedMessage,
): Promise<Locked | undefined> {
  const counter = await findCounterKey(database, em, key);
  if (counter === undefined) return undefined;
  const marks = await holdAll(database, em, { keys: [counter], exclusive: false });
  if (isDeleted(marks, counter)) return undefined;
  const { applicationId, chatNumber } = counter;
  const { forUpdate } = WORDS[database.dialect];
  const [chat] = await database.rows<{ change_count: number; deleted_count: number }>(
    em,
    `SELECT change_count, deleted_count FROM chats
      WHERE application_id = ? AND number = ?${forUpdate}`,
    [applicationId, chatNumber],
  );
  if (chat === undefined) return undefined;
  await database.rows(
    em,
    `SELECT version FROM messages
      WHERE application_id = ? AND chat_number = ? AND number = ?${forUpdate}`,
    [applicationId, chatNumber, number],
  );
  const own = { sql: "AND m.number = ?", values: [number] };
  const [read] = await readMessages(database, em, key, own);
  if (read === undefined) return undefined;
  return {
    counter,
    message: read.message,
    last: read.changeNumber,
    chat: { changeCount: chat.change_count, deletedCount: chat.deleted_count },
  };
}

/** Writes a new version, its place in the order of changes, and that the index lacks it. */
async function write(
  database: Database,
  em: Session,
  { counter, message, last, chat }: Locked,
  change: Said & { editTime?: Date; deleteTime?: Date },
): Promise<Change> {
  const { applicationId: application, chatNumber } = counter;
  const { number } = message;
  const version = message.version + 1;
  const changeNumber = chat.changeCount + 1;
  const counted = { ...chat, changeCount: changeNumber };
  await em.nativeUpdate(ChatRow, { application, number: chatNumber }, counted);
  const { editTime, deleteTime } = { ...message, ...change };
  const times = { editTime: editTime ?? null, deleteTime: deleteTime ?? null };
  const row = { ...rowOf(change), ...times, version, changeNumber };
  await em.nativeUpdate(MessageRow, { application, chatNumber, number }, row);
  if (last !== undefined) {
    await em.nativeDelete(MessageChangeRow, { application, chatNumber, changeNumber: last });
  }
  await em.insert(MessageChangeRow, { application, chatNumber, changeNumber, number });
  const gap = await noteOwnGap(database, em, counter, { firstNumber: number, lastNumber: number });
  return { kind: "changed", message: { ...message, ...change, version }, gap };
}
