import { DELETED_ALL } from "../../core/deletion.ts";
import type { Database, Session } from "./database.ts";
import { WORDS } from "./dialects.ts";
import { CeilingRow } from "./entities.ts";
import { type CounterKey, distinct, nameOfKey } from "./keys.ts";

// A counter's row of the table ceilings. Who holds it shared knows that nobody makes its numbers
// void or deletes them meanwhile; who holds it alone may.

export interface Held {
  ceiling: number;
  floor: number;
  lastVoid: number;
  deletedThrough: number;
  /** In which it was seeded last, from `floor`. */
  epoch: number;
}

type Row = Record<"ceiling" | "floor" | "last_void" | "deleted_through" | "epoch", number>;

/** The counter's row, locked until the transaction ends; undefined where there is none. */
export async function holdIfThere(
  database: Database,
  em: Session,
  { applicationId, chatNumber }: CounterKey,
): Promise<Held | undefined> {
  const [row] = await database.rows<Row>(
    em,
    `SELECT ceiling, floor, last_void, deleted_through, epoch FROM ceilings
      WHERE application_id = ? AND chat_number = ?${WORDS[database.dialect].forUpdate}`,
    [applicationId, chatNumber],
  );
  if (row === undefined) return undefined;
  const { ceiling, floor, epoch, last_void: lastVoid, deleted_through: deletedThrough } = row;
  return { ceiling, floor, lastVoid, deletedThrough, epoch };
}

/** The counter's row, made where it is missing, locked until the transaction ends. */
export async function hold(database: Database, em: Session, key: CounterKey): Promise<Held> {
  const held = await holdIfThere(database, em, key);
  if (held !== undefined) return held;
  await database.run(
    em,
    "INSERT INTO ceilings (application_id, chat_number, ceiling, floor, last_void) " +
      `VALUES (?, ?, 0, 0, 0)${WORDS[database.dialect].keep("ceiling")}`,
    [key.applicationId, key.chatNumber],
  );
  return (await holdIfThere(database, em, key))!;
}

/** Changes a counter's row that is held. */
export async function writeHeld(em: Session, key: CounterKey, held: Held): Promise<void> {
  const { applicationId: application, chatNumber } = key;
  await em.nativeUpdate(CeilingRow, { application, chatNumber }, held);
}

/** What many counters' rows say of numbers that are no more, by nameOfKey. */
export type Marks = Map<string, Pick<Held, "lastVoid" | "deletedThrough">>;

/**
 * Holds the rows of many counters that have one until the transaction ends: shared, nobody makes
 * numbers void or deletes them meanwhile; exclusive, nobody else looks at them either. The counter
 * of the application's chats is held with those of its chats, since to delete either is to hold it.
 */
export async function holdAll(
  database: Database,
  em: Session,
  { keys, exclusive }: { keys: CounterKey[]; exclusive: boolean },
): Promise<Marks> {
  const { given, forShare, forUpdate } = WORDS[database.dialect];
  const wanted = distinct([...keys, ...keys.map(parentOf)]);
  const rows = await database.rows<
    Record<"application_id" | "chat_number" | "last_void" | "deleted_through", number>
  >(
    em,
    `SELECT c.application_id, c.chat_number, c.last_void, c.deleted_through
      FROM ${given} JOIN ceilings c
      ON c.application_id = given.application_id AND c.chat_number = given.number
      ${exclusive ? forUpdate : forShare}`,
    [JSON.stringify(wanted.map((key) => [key.applicationId, key.chatNumber]))],
  );
  return new Map(
    rows.map((row) => [
      nameOfKey({ applicationId: row.application_id, chatNumber: row.chat_number }),
      { lastVoid: row.last_void, deletedThrough: row.deleted_through },
    ]),
  );
}

function parentOf({ applicationId }: CounterKey): CounterKey {
  return { applicationId, chatNumber: 0 };
}

/** True where the counter's whole chat was deleted, or its whole application. */
export function isDeleted(marks: Marks, key: CounterKey): boolean {
  return [key, parentOf(key)].some(
    (one) => marks.get(nameOfKey(one))?.deletedThrough === DELETED_ALL,
  );
}
