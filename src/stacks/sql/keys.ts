import type { Counter } from "../../core/ports.ts";
import type { Database, Session } from "./database.ts";

/** A counter by the keys of its rows; chat number 0 is the counter of the application's chats. */
export interface CounterKey {
  applicationId: number;
  chatNumber: number;
}

const TOKEN = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * The ids of the applications that exist, or of those that were deleted too. It is asked anew in
 * every transaction: an id that was kept could be another application's after the database was
 * restored from a copy.
 */
export async function findApplicationIds(
  database: Database,
  em: Session,
  tokens: Iterable<string>,
  which: "live" | "all" = "live",
): Promise<Map<string, number>> {
  // Texts that cannot be a token would meet the column's character set, or its padding.
  const wanted = [...new Set(tokens)].filter((token) => TOKEN.test(token));
  if (wanted.length === 0) return new Map();
  const rows = await database.rows<{ id: number; token: string }>(
    em,
    `SELECT id, token FROM applications WHERE token IN (${wanted.map(() => "?").join()})
      ${which === "live" ? "AND delete_time IS NULL" : ""}`,
    wanted,
  );
  return new Map(rows.map((row) => [row.token, row.id]));
}

/** Undefined where the application does not exist. */
export async function findCounterKey(
  database: Database,
  em: Session,
  counter: Counter,
): Promise<CounterKey | undefined> {
  const ids = await findApplicationIds(database, em, [counter.applicationToken]);
  const applicationId = ids.get(counter.applicationToken);
  if (applicationId === undefined) return undefined;
  return { applicationId, chatNumber: counter.chatNumber ?? 0 };
}

/** Each key once, sorted. */
export function distinct(keys: Iterable<CounterKey>): CounterKey[] {
  const named = new Map<string, CounterKey>();
  for (const key of keys) named.set(nameOfKey(key), key);
  return [...named.values()].sort(
    (one, other) => one.applicationId - other.applicationId || one.chatNumber - other.chatNumber,
  );
}

export function nameOfKey(key: CounterKey): string {
  return `${key.applicationId}:${key.chatNumber}`;
}
