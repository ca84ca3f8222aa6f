import type { Counter } from "../../core/ports.ts";
import type { Database, Session, Value } from "../sql/database.ts";
import { NUMBER_MAX, ROWID, rowidOf } from "./search-rows.ts";
import { CURRENT, NEXT, type SearchTables } from "./search-schema.ts";

/** Documents that one step takes away, so that others have a turn. */
const REMOVE_MAX = 500;

type Key = Counter & { throughNumber: number };

/**
 * Takes away some documents of a chat up to a number, or of an application, chat after chat;
 * returns how many, 0 where there are none. While an index is in the making, from that one too; and
 * a chat keeps its id in both, so nothing else gets it before the swap.
 */
export async function removeSome(
  database: Database,
  em: Session,
  key: Key,
  rebuilding: boolean,
): Promise<number> {
  const others = rebuilding ? await removeFrom(database, em, key, { tables: NEXT, rebuilding }) : 0;
  return others + (await removeFrom(database, em, key, { tables: CURRENT, rebuilding }));
}

async function removeFrom(
  database: Database,
  em: Session,
  { applicationToken, chatNumber, throughNumber }: Key,
  { tables, rebuilding }: { tables: SearchTables; rebuilding: boolean },
): Promise<number> {
  const own = chatNumber === undefined ? "" : " and chat_number = ?";
  const values: Value[] = [applicationToken, ...(chatNumber === undefined ? [] : [chatNumber])];
  const [chat] = await database.rows<{ id: number }>(
    em,
    `select id from ${tables.chats} where application_token = ?${own} and count > 0 limit 1`,
    values,
  );
  if (chat === undefined) return 0;
  const range = [
    rowidOf(chat.id, 0),
    rowidOf(chat.id, Math.min(throughNumber, NUMBER_MAX)),
    REMOVE_MAX,
  ];
  const rows = await database.rows<{ name: string }>(
    em,
    `select cast(rowid as text) as name from ${tables.messages} ` +
      `where rowid >= ${ROWID} and rowid <= ${ROWID} order by rowid limit ?`,
    range,
  );
  if (rows.length === 0) return 0;
  const names = rows.map(({ name }) => name);
  await database.run(
    em,
    `delete from ${tables.messages} where rowid in (${names.map(() => ROWID).join(", ")})`,
    names,
  );
  const sql = `update ${tables.chats} set count = count - ? where id = ?`;
  await database.run(em, sql, [names.length, chat.id]);
  const end = rebuilding
    ? `update ${tables.chats} set last_number = 0`
    : `delete from ${tables.chats}`;
  await database.run(em, `${end} where id = ? and count = 0`, [chat.id]);
  return names.length;
}
