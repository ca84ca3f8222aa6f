import { randomUUID } from "node:crypto";
import { setImmediate as breathe } from "node:timers/promises";
import type { NumberRange } from "../../../gen/parley/v1/state.ts";
import { FOLD_VERSION, foldText } from "../../core/fold.ts";
import type {
  ChatKey,
  Counter,
  Extent,
  SearchDocument,
  SearchIndex,
  SearchQuery,
} from "../../core/ports.ts";
import type { Rebuild } from "../../core/upkeep.ts";
import { ParleyError } from "../../errors.ts";
import type { Database, Session, Value } from "../sql/database.ts";
import { beginRebuild, type Rebuilding } from "./rebuild.ts";
import { removeSome } from "./search-removal.ts";
import { conditionOf, errorOf, NUMBER, ROWID, rowidOf, slicesOf } from "./search-rows.ts";
import { CURRENT, NEXT, type SearchTables } from "./search-schema.ts";

/** Rows that a scan looks at before others have a turn: SQLite works on the thread that serves. */
const SCAN_ROWS_MAX = 4_096;

interface Chat {
  id: number;
  application_token: string;
  chat_number: number;
  last_number: number;
  count: number;
}

/** A document on its way in. */
interface Entry {
  rowid: string;
  chat: Chat;
  number: number;
  folded: string;
  version: number;
}

/** Full text search with SQLite's FTS5, in the file of the rows and through its one connection. */
export class SqliteSearchIndex implements SearchIndex {
  private readonly database: Database;
  /** This process is the only one on its folder, so it knows of every rebuild. */
  private readonly rebuilding: Rebuilding = { underway: false, next: undefined };

  constructor(database: Database) {
    this.database = database;
  }

  index(documents: SearchDocument[]): Promise<(Error | undefined)[]> {
    return this.write(documents, (em, slice) => this.insertAll(em, slice));
  }

  async rebuild(): Promise<Rebuild> {
    return beginRebuild(this.rebuilding, {
      prepare: () => this.identity(),
      run: (statements, then) => this.runAll(statements, then),
      index: (documents) => this.write(documents, (em, slice) => this.insertNext(em, slice)),
    });
  }

  /** Whether there are tables of a rebuild that nobody works on. */
  async isLeftUnfinished(): Promise<boolean> {
    const sql = "select name from sqlite_master where name = ?";
    const found = await this.rows(sql, [NEXT.chats]);
    return found.length > 0 && !this.rebuilding.underway;
  }

  async find(query: SearchQuery): Promise<number[]> {
    const chat = await this.findChat(query, query.signal);
    if (chat === undefined) return [];
    const { condition, values, scans } = conditionOf(query.parts);
    const numbers: number[] = [];
    let before = Math.min(query.before, chat.last_number + 1);
    // What must be scanned is scanned from the end in slices; the index needs no slices.
    while (before > 1 && numbers.length < query.limit) {
      const after = scans ? Math.max(0, before - 1 - SCAN_ROWS_MAX) : 0;
      const sql =
        `select ${NUMBER} from message_search where rowid > ${ROWID} and rowid < ${ROWID} ` +
        `and ${condition} order by rowid desc limit ?`;
      const range = [rowidOf(chat.id, after), rowidOf(chat.id, before)];
      const limit = query.limit - numbers.length;
      const rows = await this.rows<{ number: number }>(
        sql,
        [...range, ...values, limit],
        query.signal,
      );
      numbers.push(...rows.map((row) => row.number));
      before = after + 1;
      if (before > 1) await breathe();
    }
    return numbers;
  }

  async extent(key: ChatKey, signal?: AbortSignal): Promise<Extent> {
    const chat = await this.findChat(key, signal);
    return { count: chat?.count ?? 0, lastNumber: chat?.last_number ?? 0 };
  }

  async findWithExtent(query: SearchQuery): Promise<{ extent: Extent; numbers: number[] }> {
    const extent = await this.extent(query, query.signal);
    return { extent, numbers: await this.find(query) };
  }

  async count(key: ChatKey, range: NumberRange, signal?: AbortSignal): Promise<number> {
    const chat = await this.findChat(key, signal);
    if (chat === undefined) return 0;
    const first = Math.max(range.firstNumber, 1);
    const last = Math.min(range.lastNumber, chat.last_number);
    if (first > last) return 0;
    const [row] = await this.rows<{ count: number }>(
      `select count(*) as count from message_search where rowid >= ${ROWID} and rowid <= ${ROWID}`,
      [rowidOf(chat.id, first), rowidOf(chat.id, last)],
      signal,
    );
    return row?.count ?? 0;
  }

  async remove(key: Counter & { throughNumber: number }): Promise<number> {
    const removed = await outward(
      this.database.transaction((em) =>
        removeSome(this.database, em, key, this.rebuilding.next !== undefined),
      ),
    );
    await breathe();
    return removed;
  }

  /** What was folded by an older version is thrown away here, which makes it another index. */
  async identity(): Promise<string> {
    const current = await this.currentIdentity();
    if (current !== undefined) return current;
    return outward(
      this.database.transaction(async (em) => {
        // Another caller may have been here since.
        const again = await this.currentIdentity(em);
        if (again !== undefined) return again;
        await this.database.run(em, "delete from message_search");
        await this.database.run(em, "delete from search_chats");
        const identity = randomUUID();
        const sql = "update search_identity set identity = ?, fold_version = ? where id = 1";
        await this.database.run(em, sql, [identity, FOLD_VERSION]);
        return identity;
      }),
    );
  }

  private async currentIdentity(em?: Session): Promise<string | undefined> {
    const sql = "select identity from search_identity where id = 1 and fold_version = ?";
    type Row = { identity: string };
    const read = (one: Session) => this.database.rows<Row>(one, sql, [FOLD_VERSION]);
    const [row] = await (em === undefined ? outward(this.database.read(read)) : read(em));
    return row?.identity;
  }

  private rows<T>(sql: string, values: Value[], signal?: AbortSignal): Promise<T[]> {
    return outward(this.database.read((em) => this.database.rows<T>(em, sql, values), signal));
  }

  private async findChat(key: ChatKey, signal?: AbortSignal): Promise<Chat | undefined> {
    const sql = "select * from search_chats where application_token = ? and chat_number = ?";
    const [chat] = await this.rows<Chat>(sql, [key.applicationToken, key.chatNumber], signal);
    return chat;
  }

  /** Writes the good ones among documents in slices, and answers for each. */
  private async write(
    documents: SearchDocument[],
    insert: (em: Session, slice: SearchDocument[]) => Promise<void>,
  ): Promise<(Error | undefined)[]> {
    const errors = documents.map(errorOf);
    const good = documents.filter((_, at) => errors[at] === undefined);
    for (const slice of slicesOf(good)) {
      await outward(this.database.transaction((em) => insert(em, slice)));
      await breathe();
    }
    return errors;
  }

  private async runAll(statements: string[], then: () => void = () => {}): Promise<void> {
    await outward(
      this.database.transaction(async (em) => {
        for (const sql of statements) await this.database.run(em, sql);
        then();
      }),
    );
  }

  private async insertAll(em: Session, documents: SearchDocument[]): Promise<void> {
    const chats = await this.insertChats(em, documents);
    await this.insert(em, CURRENT, entriesOf(documents, chats));
    if (this.rebuilding.next !== undefined) await this.insertNext(em, documents);
  }

  /** A chat has one id in both, so that a search which meets the swap reads the same chat. */
  private async insertNext(em: Session, documents: SearchDocument[]): Promise<void> {
    const chats = await this.insertChats(em, documents);
    for (const chat of chats.values()) {
      await this.database.run(
        em,
        `insert into ${NEXT.chats} (id, application_token, chat_number) values (?, ?, ?)
          on conflict do nothing`,
        [chat.id, chat.application_token, chat.chat_number],
      );
    }
    await this.insert(em, NEXT, entriesOf(documents, chats));
  }

  /** Writes what is newer than what is there. */
  private async insert(em: Session, tables: SearchTables, entries: Entry[]): Promise<void> {
    const versions = await this.versionsOf(em, tables, entries);
    const newer = entries.filter(({ rowid, version }) => version > (versions.get(rowid) ?? 0));
    if (newer.length === 0) return;
    await this.database.run(
      em,
      `insert or replace into ${tables.messages} (rowid, folded, version) values ` +
        newer.map(() => `(${ROWID}, ?, ?)`).join(", "),
      newer.flatMap(({ rowid, folded, version }) => [rowid, folded, version]),
    );
    for (const chat of new Set(entries.map((one) => one.chat))) {
      const added = newer.filter((one) => one.chat === chat && !versions.has(one.rowid));
      if (added.length === 0) continue;
      const last = added.reduce((highest, { number }) => Math.max(highest, number), 0);
      const sql =
        `update ${tables.chats} set count = count + ?, last_number = max(last_number, ?) ` +
        "where id = ?";
      await this.database.run(em, sql, [added.length, last, chat.id]);
    }
  }

  /** The chats of the documents, by `chatNameOf`. */
  private async insertChats(em: Session, documents: SearchDocument[]): Promise<Map<string, Chat>> {
    const keys = new Map(documents.map((one) => [chatNameOf(one), one]));
    const values = [...keys.values()].flatMap((one) => [one.applicationToken, one.chatNumber]);
    const rows = Array.from(keys, () => "(?, ?)").join(", ");
    await this.database.run(
      em,
      "insert into search_chats (application_token, chat_number) " +
        `values ${rows} on conflict do nothing`,
      values,
    );
    const chats = await this.database.rows<Chat>(
      em,
      `select * from search_chats where (application_token, chat_number) in (values ${rows})`,
      values,
    );
    return new Map(chats.map((chat) => [`${chat.application_token}:${chat.chat_number}`, chat]));
  }

  private async versionsOf(
    em: Session,
    tables: SearchTables,
    entries: Entry[],
  ): Promise<Map<string, number>> {
    const rows = await this.database.rows<{ name: string; version: number }>(
      em,
      `select cast(rowid as text) as name, version from ${tables.messages} ` +
        `where rowid in (${entries.map(() => ROWID).join(", ")})`,
      entries.map(({ rowid }) => rowid),
    );
    return new Map(rows.map(({ name, version }) => [name, version]));
  }
}

function chatNameOf(key: ChatKey): string {
  return `${key.applicationToken}:${key.chatNumber}`;
}

/** Documents as rows, each once and in its highest version. */
function entriesOf(documents: SearchDocument[], chats: Map<string, Chat>): Entry[] {
  const entries = new Map<string, Entry>();
  for (const document of documents) {
    const { number, version } = document;
    const chat = chats.get(chatNameOf(document))!;
    const rowid = rowidOf(chat.id, number);
    if ((entries.get(rowid)?.version ?? 0) >= version) continue;
    entries.set(rowid, { rowid, chat, number, version, folded: foldText(document.body) });
  }
  return [...entries.values()];
}

/** Gives an error the name of this port; the database's own is the rows'. */
async function outward<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof ParleyError) || error.reason !== "STORE_UNAVAILABLE") throw error;
    const { cause } = error;
    throw new ParleyError("SEARCH_UNAVAILABLE", "the search index cannot be reached now", {
      cause,
    });
  }
}
