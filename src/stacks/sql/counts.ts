import type { Counter } from "../../core/ports.ts";
import type { Database, Session, Value } from "./database.ts";
import { WORDS } from "./dialects.ts";
import { findApplicationIds } from "./keys.ts";

/** [application_id, chat number, count], as the parameter of WORDS.given. */
type Given = [number, number, number];

/** See Store.updateCounts: two statements for each of the two tables, however many counts. */
export async function updateCounts(
  database: Database,
  em: Session,
  counts: { counter: Counter; count: number }[],
  countTime: Date,
): Promise<Counter[]> {
  const tokens = counts.map((one) => one.counter.applicationToken);
  const ids = await findApplicationIds(em, tokens);
  const given: Given[] = [];
  for (const { counter, count } of counts) {
    const id = ids.get(counter.applicationToken);
    if (id !== undefined) given.push([id, counter.chatNumber ?? 0, count]);
  }
  // In the order of the keys, as everybody locks.
  given.sort((one, other) => one[0] - other[0] || one[1] - other[1]);
  const ofChats = given.filter((one) => one[1] === 0);
  const ofMessages = given.filter((one) => one[1] !== 0);
  // Asked before the counts are written: one whose row comes in between is told as missing.
  const chats = await findChats(database, em, ofMessages);
  await update(database, em, { table: "applications", given: ofChats, countTime });
  await update(database, em, { table: "chats", given: ofMessages, countTime });
  return counts.flatMap(({ counter }) => {
    const id = ids.get(counter.applicationToken);
    const there = counter.chatNumber === undefined || chats.has(`${id}:${counter.chatNumber}`);
    return id !== undefined && there ? [] : [counter];
  });
}

async function update(
  database: Database,
  em: Session,
  step: { table: "applications" | "chats"; given: Given[]; countTime: Date },
): Promise<void> {
  if (step.given.length === 0) return;
  const { given, greatest } = WORDS[database.dialect];
  const [count, on] =
    step.table === "applications"
      ? ["chats_count", "applications.id = given.application_id"]
      : [
          "messages_count",
          "chats.application_id = given.application_id AND chats.number = given.number",
        ];
  const set = `SET ${count} = ${greatest}(${count}, given.value), count_time = ?`;
  const keys = JSON.stringify(step.given);
  const [sql, values]: [string, Value[]] =
    database.dialect === "mysql"
      ? [`UPDATE ${given} JOIN ${step.table} ON ${on} ${set}`, [keys, step.countTime]]
      : [`UPDATE ${step.table} ${set} FROM ${given} WHERE ${on}`, [step.countTime, keys]];
  await database.run(em, sql, values);
}

/** Which of these chats have a row. */
async function findChats(database: Database, em: Session, chats: Given[]): Promise<Set<string>> {
  if (chats.length === 0) return new Set();
  const rows = await database.rows<{ application_id: number; number: number }>(
    em,
    `SELECT chats.application_id, chats.number FROM ${WORDS[database.dialect].given} JOIN chats
      ON chats.application_id = given.application_id AND chats.number = given.number`,
    [JSON.stringify(chats)],
  );
  return new Set(rows.map((row) => `${row.application_id}:${row.number}`));
}
