import { DELETED_ALL } from "../../core/deletion.ts";
import type { ChatKey } from "../../core/ports.ts";
import { recount } from "./counts.ts";
import type { Database, Session } from "./database.ts";
import { hold, writeHeld } from "./held.ts";
import type { CounterKey } from "./keys.ts";
import { msOf } from "./stored.ts";
import { joinVoids } from "./voids.ts";

/** See Deletions.findExpired: one look at the first row of each chat, by its key. */
export async function findExpired(
  database: Database,
  em: Session,
  page: { after: string; before: Date; limit: number },
): Promise<{ chats: ChatKey[]; next: string | undefined }> {
  const [applicationId = 0, chatNumber = 0] = page.after.split(":").map(Number);
  const rows = await database.rows<{
    application_id: number;
    chat_number: number;
    deleted_through: number;
    token: string;
    delete_time: string | number | null;
    oldest: string | number | null;
  }>(
    em,
    // The page is cut before anything is looked up for its chats. Chat 0 has no messages.
    `SELECT c.application_id, c.chat_number, c.deleted_through, a.token, a.delete_time,
        (SELECT m.create_time FROM messages m
          WHERE m.application_id = c.application_id AND m.chat_number = c.chat_number
          ORDER BY m.number LIMIT 1) AS oldest
      FROM (SELECT application_id, chat_number, deleted_through FROM ceilings
        WHERE application_id > ? OR (application_id = ? AND chat_number > ?)
        ORDER BY application_id, chat_number LIMIT ${page.limit}) AS c
      JOIN applications a ON a.id = c.application_id
      ORDER BY c.application_id, c.chat_number`,
    [applicationId, applicationId, chatNumber],
  );
  const beforeMs = page.before.getTime();
  const old = rows.filter(
    ({ oldest, delete_time: gone, deleted_through: through }) =>
      oldest !== null && msOf(oldest) < beforeMs && gone === null && through < DELETED_ALL,
  );
  const last = rows[rows.length - 1];
  return {
    chats: old.map((row) => ({ applicationToken: row.token, chatNumber: row.chat_number })),
    next: rows.length < page.limit ? undefined : `${last!.application_id}:${last!.chat_number}`,
  };
}

/**
 * Deletes the first messages of a chat up to one that is not old enough, at most `limit`, in one
 * step with what tells that they are gone: the void, the mark against late jobs, the count.
 */
export async function expireMessages(
  database: Database,
  em: Session,
  key: CounterKey,
  { before, limit }: { before: Date; limit: number },
): Promise<{ count: number; throughNumber: number }> {
  const held = await hold(database, em, key);
  if (held.deletedThrough === DELETED_ALL) return { count: 0, throughNumber: 0 };
  const where = "application_id = ? AND chat_number = ?";
  const values = [key.applicationId, key.chatNumber];
  const rows = await database.rows<{
    number: number;
    create_time: string | number;
    delete_time: string | number | null;
  }>(
    em,
    `SELECT number, create_time, delete_time FROM messages
      WHERE ${where} ORDER BY number LIMIT ${limit}`,
    values,
  );
  const young = rows.findIndex((row) => msOf(row.create_time) >= before.getTime());
  const old = young < 0 ? rows : rows.slice(0, young);
  const throughNumber = old[old.length - 1]?.number ?? 0;
  if (throughNumber === 0) return { count: 0, throughNumber };
  const range = { firstNumber: 1, lastNumber: throughNumber };
  for (const table of ["messages", "message_changes"]) {
    const sql = `DELETE FROM ${table} WHERE ${where} AND number <= ?`;
    await database.run(em, sql, [...values, throughNumber]);
  }
  const tombstones = old.filter((row) => row.delete_time !== null).length;
  if (tombstones > 0) {
    // They are no more among the messages that are counted.
    const sql = "UPDATE chats SET deleted_count = deleted_count - ?";
    await database.run(em, `${sql} WHERE application_id = ? AND number = ?`, [
      tombstones,
      ...values,
    ]);
  }
  const { lastNumber } = await joinVoids(database, em, key, range);
  const lastVoid = Math.max(held.lastVoid, lastNumber);
  await writeHeld(em, key, { ...held, lastVoid, deletedThrough: throughNumber });
  await recount(database, em, key);
  return { count: old.length, throughNumber };
}
