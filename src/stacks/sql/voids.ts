import type { NumberRange } from "../../../gen/parley/v1/state.ts";
import type { Database, Session } from "./database.ts";
import { WORDS } from "./dialects.ts";
import type { CounterKey } from "./keys.ts";

// Voids and rows exclude each other. Whoever writes a row whose number may be void, and whoever
// makes numbers void, holds the counter's row of the table ceilings, so none can miss the other.

interface RangeRow {
  first_number: number;
  last_number: number;
}

/** Takes numbers that have a row now out of the voids. The counter is held exclusively. */
export async function takeFromVoids(
  database: Database,
  em: Session,
  key: CounterKey,
  numbers: number[],
): Promise<void> {
  const range = { firstNumber: Math.min(...numbers), lastNumber: Math.max(...numbers) };
  const before = await findVoids(database, em, key, range);
  if (before.length === 0) return;
  const after = subtract(before, numbers);
  const { applicationId, chatNumber } = key;
  await database.run(
    em,
    `DELETE FROM voids WHERE application_id = ? AND chat_number = ?
      AND first_number >= ? AND first_number <= ?`,
    [applicationId, chatNumber, before[0]!.firstNumber, before[before.length - 1]!.firstNumber],
  );
  if (after.length === 0) return;
  await database.run(
    em,
    `INSERT INTO voids (application_id, chat_number, first_number, last_number)
      VALUES ${after.map(() => "(?, ?, ?, ?)").join(", ")}`,
    after.flatMap((one) => [applicationId, chatNumber, one.firstNumber, one.lastNumber]),
  );
}

/** The voids that touch a range, whole, lowest first. */
export async function findVoids(
  database: Database,
  em: Session,
  key: CounterKey,
  range: NumberRange,
  limit?: number,
): Promise<NumberRange[]> {
  const { applicationId, chatNumber } = key;
  // Of those that begin before the range only the last can reach into it: they are disjoint.
  const rows = await database.rows<RangeRow>(
    em,
    `SELECT first_number, last_number FROM voids
      WHERE application_id = ? AND chat_number = ? AND first_number <= ? AND last_number >= ?
      AND first_number >= COALESCE((SELECT MAX(first_number) FROM voids
        WHERE application_id = ? AND chat_number = ? AND first_number <= ?), 0)
      ORDER BY first_number${limit === undefined ? "" : ` LIMIT ${limit}`}`,
    [
      ...[applicationId, chatNumber, range.lastNumber, range.firstNumber],
      ...[applicationId, chatNumber, range.firstNumber],
    ],
  );
  return rows.map((row) => ({ firstNumber: row.first_number, lastNumber: row.last_number }));
}

/**
 * Makes the numbers of a range void that have no row and are not void yet; the counter is held
 * exclusively. Rows and voids are laid in a line, and what lies between two neighbours is missing.
 */
export async function insertMissing(
  database: Database,
  em: Session,
  key: CounterKey,
  { firstNumber, lastNumber }: NumberRange,
): Promise<void> {
  if (lastNumber < firstNumber) return;
  const { applicationId, chatNumber } = key;
  const { greatest } = WORDS[database.dialect];
  const after = firstNumber - 1;
  const own = chatNumber === 0 ? "" : "AND chat_number = ?";
  const ownKey = chatNumber === 0 ? [applicationId] : [applicationId, chatNumber];
  await database.run(
    em,
    `INSERT INTO voids (application_id, chat_number, first_number, last_number)
      SELECT ?, ?, last_number + 1, next_number - 1 FROM (
        SELECT last_number, LEAD(first_number) OVER (ORDER BY first_number) AS next_number FROM (
          SELECT ? AS first_number, ? AS last_number
          UNION ALL SELECT number, number FROM ${chatNumber === 0 ? "chats" : "messages"}
            WHERE application_id = ? ${own} AND number > ? AND number <= ?
          UNION ALL SELECT ${greatest}(first_number, ?), last_number FROM voids
            WHERE application_id = ? AND chat_number = ? AND last_number > ? AND first_number <= ?
          UNION ALL SELECT ?, ?
        ) AS taken
      ) AS neighbours WHERE next_number > last_number + 1`,
    [
      ...[applicationId, chatNumber, after, after],
      ...[...ownKey, after, lastNumber],
      ...[firstNumber, applicationId, chatNumber, after, lastNumber],
      ...[lastNumber + 1, lastNumber + 1],
    ],
  );
}

/** Makes a range void that has no row, in one piece with the voids that it touches or joins. */
export async function joinVoids(
  database: Database,
  em: Session,
  key: CounterKey,
  range: NumberRange,
): Promise<NumberRange> {
  const { applicationId, chatNumber } = key;
  const around = { firstNumber: range.firstNumber - 1, lastNumber: range.lastNumber + 1 };
  const touched = [range, ...(await findVoids(database, em, key, around))];
  const firstNumber = Math.min(...touched.map((one) => one.firstNumber));
  const lastNumber = Math.max(...touched.map((one) => one.lastNumber));
  await database.run(
    em,
    `DELETE FROM voids WHERE application_id = ? AND chat_number = ?
      AND first_number >= ? AND first_number <= ?`,
    [applicationId, chatNumber, firstNumber, lastNumber],
  );
  await database.run(
    em,
    `INSERT INTO voids (application_id, chat_number, first_number, last_number)
      VALUES (?, ?, ?, ?)`,
    [applicationId, chatNumber, firstNumber, lastNumber],
  );
  return { firstNumber, lastNumber };
}

/** Ranges without some numbers. */
export function subtract(ranges: NumberRange[], numbers: number[]): NumberRange[] {
  const sorted = [...new Set(numbers)].sort((one, other) => one - other);
  const left: NumberRange[] = [];
  let at = 0;
  for (const { firstNumber, lastNumber } of ranges) {
    let first = firstNumber;
    while (at < sorted.length && sorted[at]! < firstNumber) at++;
    for (; at < sorted.length && sorted[at]! <= lastNumber; at++) {
      const number = sorted[at]!;
      if (number > first) left.push({ firstNumber: first, lastNumber: number - 1 });
      first = number + 1;
    }
    if (first <= lastNumber) left.push({ firstNumber: first, lastNumber });
  }
  return left;
}
