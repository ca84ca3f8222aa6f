import { randomInt } from "node:crypto";
import { raw } from "@mikro-orm/sql";
import type { NumberRange } from "../../../gen/parley/v1/state.ts";
import type { ChatKey } from "../../core/ports.ts";
import type { ListedGap, Position } from "../../core/upkeep.ts";
import type { Database, Session } from "./database.ts";
import { WORDS } from "./dialects.ts";
import { SearchGapRow, SearchIndexRow } from "./entities.ts";
import { type CounterKey, findApplicationIds, findCounterKey } from "./keys.ts";

export type Gap = { range: NumberRange } & ChatKey;

/** See Store.noteGaps. */
export async function noteGaps(database: Database, em: Session, gaps: Gap[]): Promise<void> {
  const tokens = gaps.map((gap) => gap.applicationToken);
  const ids = await findApplicationIds(database, em, tokens);
  const version = newVersion();
  const rows = gaps.flatMap(({ applicationToken, chatNumber, range }) => {
    const id = ids.get(applicationToken);
    if (id === undefined) return [];
    return [[id, chatNumber, range.firstNumber, range.lastNumber, version]];
  });
  if (rows.length === 0) return;
  // In the order of the keys, as everybody locks.
  rows.sort((one, other) => one[0]! - other[0]! || one[1]! - other[1]!);
  await database.run(
    em,
    `INSERT INTO search_gaps ${COLUMNS} VALUES ${rows.map(() => "(?, ?, ?, ?, ?)").join(", ")}` +
      widen(database),
    rows.flat(),
  );
}

/**
 * Notes that the index lacks a range of one chat. Where the chat had no gap it returns the version
 * of this one, so that who gives the index the range may close it; one that was there is widened,
 * since what else it is about is not known here.
 */
export async function noteOwnGap(
  database: Database,
  em: Session,
  { applicationId, chatNumber }: CounterKey,
  { firstNumber, lastNumber }: NumberRange,
): Promise<number | undefined> {
  const version = newVersion();
  const sql = `INSERT INTO search_gaps ${COLUMNS} VALUES (?, ?, ?, ?, ?)`;
  const row = [applicationId, chatNumber, firstNumber, lastNumber, version];
  const { keep } = WORDS[database.dialect];
  if ((await database.run(em, sql + keep("version"), row)) === 1) return version;
  await database.run(em, sql + widen(database), row);
  return undefined;
}

/** See Store.listGaps. */
export async function listGaps(
  em: Session,
  limit: number,
  [application, chat]: Position = [0, 0],
): Promise<ListedGap[]> {
  const rows = await em
    .createQueryBuilder(SearchGapRow, "g")
    .select([
      "g.chatNumber",
      "g.firstNumber",
      "g.lastNumber",
      "g.version",
      raw("a.token as token"),
      raw("a.id as id"),
    ])
    .innerJoin("g.application", "a")
    .where({ "a.deleteTime": null })
    .andWhere(
      raw("(g.application_id > ? or (g.application_id = ? and g.chat_number > ?))", [
        ...[application, application, chat],
      ]),
    )
    .orderBy({ application: 1, chatNumber: 1 })
    .limit(limit)
    .execute<GapRow[]>("all");
  return rows.map(({ id, token, chatNumber, firstNumber, lastNumber, version }) => {
    const range = { firstNumber, lastNumber };
    const position = [Number(id), chatNumber] as const;
    return { position, applicationToken: token, chatNumber, range, version };
  });
}

interface GapRow {
  id: number | string;
  token: string;
  chatNumber: number;
  firstNumber: number;
  lastNumber: number;
  version: number;
}

/** See Store.closeGap. */
export async function closeGap(
  database: Database,
  em: Session,
  { version, left, ...key }: { version: number; left?: NumberRange } & ChatKey,
): Promise<boolean> {
  const found = await findCounterKey(database, em, key);
  if (found === undefined) return false;
  const { applicationId: application, chatNumber } = found;
  if (left !== undefined) {
    const { firstNumber, lastNumber } = left;
    const narrow = { firstNumber, lastNumber, version: newVersion() };
    const where = { application, chatNumber, version };
    return (await em.nativeUpdate(SearchGapRow, where, narrow)) === 1;
  }
  return (await em.nativeDelete(SearchGapRow, { application, chatNumber, version })) === 1;
}

/** See Store.adoptIndex. */
export async function adoptIndex(
  database: Database,
  em: Session,
  identity: string,
): Promise<boolean> {
  const { forUpdate } = WORDS[database.dialect];
  const [row] = await database.rows<{ identity: string }>(
    em,
    `SELECT identity FROM search_index WHERE id = 1${forUpdate}`,
  );
  const before = row?.identity ?? "";
  if (before === identity) return false;
  await em.nativeUpdate(SearchIndexRow, { id: 1 }, { identity });
  // The first index that is seen lacks nothing but what was noted.
  if (before === "") return false;
  await database.run(
    em,
    `INSERT INTO search_gaps ${COLUMNS}
      SELECT application_id, chat_number, MIN(number), MAX(number), ? FROM messages
      WHERE true GROUP BY application_id, chat_number${widen(database)}`,
    [newVersion()],
  );
  return true;
}

const COLUMNS = "(application_id, chat_number, first_number, last_number, version)";

function widen(database: Database): string {
  const { greatest, incoming, least, merge } = WORDS[database.dialect];
  const first = "search_gaps.first_number";
  const last = "search_gaps.last_number";
  return merge(
    "application_id, chat_number",
    `first_number = ${least}(${first}, ${incoming("first_number")}),
      last_number = ${greatest}(${last}, ${incoming("last_number")}),
      version = ${incoming("version")}`,
  );
}

/**
 * Drawn anew at each note, not counted: a gap that was closed and noted again would begin at the
 * same count, and who had listed the old one would close the new.
 */
function newVersion(): number {
  return randomInt(1, 2 ** 48 - 1);
}
