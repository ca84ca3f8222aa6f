import type { Counter } from "../../core/ports.ts";
import type { Database, Session, Value } from "./database.ts";
import { WORDS } from "./dialects.ts";
import { holdAll, isDeleted } from "./held.ts";
import { type CounterKey, findApplicationIds, nameOfKey } from "./keys.ts";

/** [application_id, chat number, counter's value], as the parameter of WORDS.given. */
type Given = [number, number, number];

/**
 * See Store.updateCounts: some statements for each of the two tables, however many counts. The
 * counters are held, so a count and its voids are of one moment.
 */
export async function updateCounts(
  database: Database,
  em: Session,
  counts: { counter: Counter; count: number }[],
  countTime: Date,
): Promise<Counter[]> {
  const tokens = counts.map((one) => one.counter.applicationToken);
  const ids = await findApplicationIds(database, em, tokens, "all");
  const keyOf = ({ applicationToken, chatNumber = 0 }: Counter): CounterKey | undefined => {
    const applicationId = ids.get(applicationToken);
    return applicationId === undefined ? undefined : { applicationId, chatNumber };
  };
  const keys = counts.flatMap(({ counter }) => keyOf(counter) ?? []);
  const marks = await holdAll(database, em, { keys, exclusive: false });
  const given: Given[] = [];
  for (const { counter, count } of counts) {
    const key = keyOf(counter);
    if (key === undefined || isDeleted(marks, key)) continue;
    given.push([key.applicationId, key.chatNumber, count]);
  }
  // In the order of the keys, as everybody locks.
  given.sort((one, other) => one[0] - other[0] || one[1] - other[1]);
  const ofChats = given.filter((one) => one[1] === 0);
  const ofMessages = given.filter((one) => one[1] !== 0);
  await update(database, em, { table: "applications", given: ofChats, countTime });
  const changed = await update(database, em, { table: "chats", given: ofMessages, countTime });
  // Where every one of them changed a row, none lacks its row.
  const counted =
    changed === ofMessages.length ? "all" : await findCounted(database, em, ofMessages);
  return counts.flatMap(({ counter }) => {
    const key = keyOf(counter);
    if (key === undefined) return [counter];
    if (key.chatNumber === 0 || isDeleted(marks, key)) return [];
    return counted === "all" || counted.has(nameOfKey(key)) ? [] : [counter];
  });
}

/** Reckons the count of a counter anew whose voids changed; the counter is held. */
export async function recount(
  database: Database,
  em: Session,
  { applicationId, chatNumber }: CounterKey,
): Promise<void> {
  const table = chatNumber === 0 ? "applications" : "chats";
  const [where, values] =
    chatNumber === 0
      ? ["id = ?", [applicationId]]
      : ["application_id = ? AND number = ?", [applicationId, chatNumber]];
  await database.run(em, `UPDATE ${table} SET ${countOf(table)} WHERE ${where}`, values);
}

/** The value that a count is reckoned from, less the voids up to it. */
function countOf(table: "applications" | "chats", greatest?: string): string {
  const value = greatest ?? `${table}.counted_value`;
  const [count, application, chat] =
    table === "applications"
      ? ["chats_count", "applications.id", "0"]
      : ["messages_count", "chats.application_id", "chats.number"];
  return `${count} = ${value} - COALESCE((
    SELECT SUM(CASE WHEN v.last_number < ${value} THEN v.last_number ELSE ${value} END
      - v.first_number + 1) FROM voids v WHERE v.application_id = ${application}
      AND v.chat_number = ${chat} AND v.first_number <= ${value}), 0)`;
}

/**
 * Returns how many rows it changed.
 * A value never moves back, so neither does a count because a sync is stale. On MySQL an assignment
 * sees those before it, on SQLite it does not: the value is written out in both.
 */
async function update(
  database: Database,
  em: Session,
  step: { table: "applications" | "chats"; given: Given[]; countTime: Date },
): Promise<number> {
  if (step.given.length === 0) return 0;
  const { table } = step;
  const { given, greatest } = WORDS[database.dialect];
  const on =
    table === "applications"
      ? "applications.id = given.application_id"
      : "chats.application_id = given.application_id AND chats.number = given.number";
  const value = `${greatest}(${table}.counted_value, given.value)`;
  const set = `SET ${countOf(table, value)}, counted_value = ${value}, count_time = ?`;
  const keys = JSON.stringify(step.given);
  const [sql, values]: [string, Value[]] =
    database.dialect === "mysql"
      ? [`UPDATE ${given} JOIN ${table} ON ${on} ${set}`, [keys, step.countTime]]
      : [`UPDATE ${table} ${set} FROM ${given} WHERE ${on}`, [step.countTime, keys]];
  return database.run(em, sql, values);
}

/** Which of these chats have a row with a count; one whose row came just now has none yet. */
async function findCounted(database: Database, em: Session, chats: Given[]): Promise<Set<string>> {
  const rows = await database.rows<{ application_id: number; number: number }>(
    em,
    `SELECT chats.application_id, chats.number FROM ${WORDS[database.dialect].given} JOIN chats
      ON chats.application_id = given.application_id AND chats.number = given.number
      WHERE chats.count_time IS NOT NULL AND chats.counted_value >= given.value`,
    [JSON.stringify(chats)],
  );
  return new Set(
    rows.map((row) => nameOfKey({ applicationId: row.application_id, chatNumber: row.number })),
  );
}
