import { DELETED_ALL } from "../../core/deletion.ts";
import type { Database, Session, Value } from "./database.ts";
import type { CounterKey } from "./keys.ts";

interface Part {
  table: string;
  where: string;
  values: Value[];
  /** The rest of the primary key, by which the rows are gone through. */
  order: string[];
}

/**
 * Takes away some rows of a chat or application that was deleted; returns how many, 0 where there
 * are none left. The application's own row and its counter's stay, and so does a chat's counter:
 * they say that it was deleted.
 */
export async function removeChunk(
  database: Database,
  em: Session,
  key: CounterKey,
  step: { throughNumber: number; limit: number },
): Promise<number> {
  const parts = key.chatNumber === 0 ? ofApplication(key) : ofChat(key, step.throughNumber);
  for (const part of parts) {
    const removed = await removePart(database, em, part, step.limit);
    if (removed > 0) return removed;
  }
  return 0;
}

function ofApplication({ applicationId }: CounterKey): Part[] {
  const all = { where: "application_id = ?", values: [applicationId] };
  return [
    { table: "messages", ...all, order: ["chat_number", "number"] },
    { table: "message_changes", ...all, order: ["chat_number", "change_number"] },
    { table: "chats", ...all, order: ["number"] },
    { table: "voids", ...all, order: ["chat_number", "first_number"] },
    { table: "search_gaps", ...all, order: ["chat_number"] },
    {
      table: "ceilings",
      ...all,
      where: `${all.where} AND chat_number > 0`,
      order: ["chat_number"],
    },
  ];
}

function ofChat({ applicationId, chatNumber }: CounterKey, throughNumber: number): Part[] {
  const where = "application_id = ? AND chat_number = ?";
  const values = [applicationId, chatNumber];
  const messages = {
    table: "messages",
    where: `${where} AND number <= ?`,
    values: [...values, throughNumber],
    order: ["number"],
  };
  if (throughNumber !== DELETED_ALL) return [messages];
  return [
    messages,
    { table: "message_changes", where, values, order: ["change_number"] },
    { table: "voids", where, values, order: ["first_number"] },
    { table: "search_gaps", where, values, order: ["chat_number"] },
  ];
}

/** Up to the row that is `limit` rows on: SQLite has no DELETE with a limit. */
async function removePart(
  database: Database,
  em: Session,
  { table, where, values, order }: Part,
  limit: number,
): Promise<number> {
  const [one, other] = order as [string, string | undefined];
  const [edge] = await database.rows<Record<string, number>>(
    em,
    `SELECT ${order.join(", ")} FROM ${table} WHERE ${where}
      ORDER BY ${order.join(", ")} LIMIT 1 OFFSET ${limit - 1}`,
    values,
  );
  if (edge === undefined) {
    return database.run(em, `DELETE FROM ${table} WHERE ${where}`, values);
  }
  const [upTo, bounds] =
    other === undefined
      ? [`${one} <= ?`, [edge[one]]]
      : [`(${one} < ? OR (${one} = ? AND ${other} <= ?))`, [edge[one], edge[one], edge[other]]];
  return database.run(em, `DELETE FROM ${table} WHERE ${where} AND ${upTo}`, [
    ...values,
    ...bounds,
  ]);
}
