import { randomInt } from "node:crypto";
import type { NumberRange } from "../../../gen/parley/v1/state.ts";
import type { ChatKey, Counter } from "../../core/ports.ts";
import type { ChoreRun, Position, StoredCounter, Upkeep } from "../../core/upkeep.ts";
import { Database, type Session } from "./database.ts";
import { WORDS } from "./dialects.ts";
import { ApplicationRow, ChatRow, ChoreRunRow, SearchIndexRow } from "./entities.ts";
import { findCounterKey } from "./keys.ts";
import type { Orm } from "./orm.ts";

type Span = { position: Position; range: NumberRange } & ChatKey;

interface SpanRow {
  application_id: number;
  chat_number: number;
  first_number: number;
  last_number: number;
}

interface CounterRow {
  application_id: number;
  number: number;
  token: string;
  stored: number;
  highest: number | null;
}

/** Behind no application and no counter. */
const START: Position = [0, -1];

/** What chores and operators need of MySQL, MariaDB or SQLite. */
export class SqlUpkeep implements Upkeep {
  private readonly database: Database;

  constructor(options: { orm: Orm }) {
    this.database = new Database(options.orm);
  }

  listChoreRuns(): Promise<ChoreRun[]> {
    return this.database.read(async (em) => {
      const rows = await em.createQueryBuilder(ChoreRunRow).orderBy({ name: 1 }).execute("all");
      return rows.map(({ name, beganTime }) => ({ name, beganTime }) as ChoreRun);
    });
  }

  noteChoreRun({ name, beganTime }: ChoreRun): Promise<void> {
    const { greatest, incoming, merge } = WORDS[this.database.dialect];
    const latest = `began_time = ${greatest}(began_time, ${incoming("began_time")})`;
    return this.database.transaction(async (em) => {
      await this.database.run(
        em,
        `INSERT INTO chore_runs (name, began_time) VALUES (?, ?)${merge("name", latest)}`,
        [name, beganTime],
      );
    });
  }

  listSpans(page: { after?: Position; limit: number }): Promise<Span[]> {
    const { after = START, limit } = page;
    return this.database.read(async (em) => {
      const rows = await this.seekSpans(em, after, limit);
      const tokens = await tokensOf(em, rows);
      return rows.map((row) => ({
        position: [row.application_id, row.chat_number] as const,
        applicationToken: tokens.get(row.application_id) ?? "",
        chatNumber: row.chat_number,
        range: { firstNumber: row.first_number, lastNumber: row.last_number },
      }));
    });
  }

  countMessages(): Promise<number> {
    return this.database.read(async (em) => {
      const sql = "SELECT SUM(messages_count) AS sum FROM chats";
      const [row] = await this.database.rows<{ sum: number | string | null }>(em, sql);
      return Number(row?.sum ?? 0);
    });
  }

  sumVoids(): Promise<number> {
    return this.database.read(async (em) => {
      const sql = "SELECT SUM(last_number - first_number + 1) AS sum FROM voids";
      const [row] = await this.database.rows<{ sum: number | string | null }>(em, sql);
      return Number(row?.sum ?? 0);
    });
  }

  listCounters(page: { after?: Position; limit: number }): Promise<StoredCounter[]> {
    const { after = START, limit } = page;
    const [application, chat] = after;
    return this.database.read(async (em) => {
      // Three ranges of two keys, since no server reads one range for a condition on both columns.
      const found = [
        ...(await this.applicationCounters(em, application + (chat < 0 ? 0 : 1), limit)),
        ...(await this.chatCounters(em, "= ? AND c.number > ?", [application, chat], limit)),
        ...(await this.chatCounters(em, "> ?", [application], limit)),
      ];
      found.sort((one, other) => {
        return one.application_id - other.application_id || one.number - other.number;
      });
      return found.slice(0, limit).map(storedOf);
    });
  }

  drawPosition(): Promise<Position> {
    return this.database.read(async (em) => {
      const sql = "SELECT COALESCE(MAX(id), 0) AS last FROM applications";
      const [row] = await this.database.rows<{ last: number }>(em, sql);
      return [randomInt(0, row!.last + 1), -1];
    });
  }

  mendCount(step: { counter: Counter; from: number; to: number }): Promise<boolean> {
    const { counter, from, to } = step;
    return this.database.transaction(async (em) => {
      const key = await findCounterKey(this.database, em, counter);
      if (key === undefined) return false;
      const { applicationId, chatNumber: number } = key;
      const changed =
        number === 0
          ? em.nativeUpdate(
              ApplicationRow,
              { id: applicationId, chatsCount: from },
              { chatsCount: to },
            )
          : em.nativeUpdate(
              ChatRow,
              { application: applicationId, number, messagesCount: from },
              { messagesCount: to },
            );
      return (await changed) === 1;
    });
  }

  adoptedIndex(): Promise<string> {
    return this.database.read(async (em) => {
      const row = await em.createQueryBuilder(SearchIndexRow).where({ id: 1 }).execute("get");
      return (row?.identity as string | undefined) ?? "";
    });
  }

  /**
   * Each chat is looked for behind the one before: a GROUP BY reads every row of the chats, which
   * may be any number of rows.
   */
  private async seekSpans(em: Session, after: Position, limit: number): Promise<SpanRow[]> {
    const rows: SpanRow[] = [];
    let [application, chat] = after;
    while (rows.length < limit) {
      const row =
        (await this.seekSpan(em, "= ? AND m.chat_number > ?", [application, chat])) ??
        (await this.seekSpan(em, "> ?", [application]));
      if (row === undefined) break;
      rows.push(row);
      [application, chat] = [row.application_id, row.chat_number];
    }
    return rows;
  }

  private async seekSpan(
    em: Session,
    where: string,
    values: number[],
  ): Promise<SpanRow | undefined> {
    const [row] = await this.database.rows<SpanRow>(
      em,
      `SELECT m.application_id, m.chat_number, m.number AS first_number,
          (SELECT MAX(l.number) FROM messages l
            WHERE l.application_id = m.application_id AND l.chat_number = m.chat_number)
          AS last_number
        FROM messages m WHERE m.application_id ${where}
        ORDER BY m.application_id, m.chat_number, m.number LIMIT 1`,
      values,
    );
    return row;
  }

  private applicationCounters(em: Session, from: number, limit: number): Promise<CounterRow[]> {
    return this.database.rows<CounterRow>(
      em,
      `SELECT a.id AS application_id, 0 AS number, a.token, a.chats_count AS stored,
          (SELECT MAX(number) FROM chats c WHERE c.application_id = a.id) AS highest
        FROM applications a WHERE a.id >= ? AND a.delete_time IS NULL
        ORDER BY a.id LIMIT ${limit}`,
      [from],
    );
  }

  private chatCounters(
    em: Session,
    where: string,
    values: number[],
    limit: number,
  ): Promise<CounterRow[]> {
    return this.database.rows<CounterRow>(
      em,
      `SELECT c.application_id, c.number, a.token, c.messages_count AS stored,
          (SELECT MAX(m.number) FROM messages m
            WHERE m.application_id = c.application_id AND m.chat_number = c.number) AS highest
        FROM chats c JOIN applications a ON a.id = c.application_id
        WHERE a.delete_time IS NULL AND c.application_id ${where}
        ORDER BY c.application_id, c.number LIMIT ${limit}`,
      values,
    );
  }
}

function storedOf({ application_id, number, token, stored, highest }: CounterRow): StoredCounter {
  const counter = number === 0 ? {} : { chatNumber: number };
  return {
    position: [application_id, number],
    counter: { applicationToken: token, ...counter },
    stored,
    highestRow: highest ?? 0,
  };
}

async function tokensOf(em: Session, rows: SpanRow[]): Promise<Map<number, string>> {
  const ids = [...new Set(rows.map((row) => row.application_id))];
  if (ids.length === 0) return new Map();
  const found = await em
    .createQueryBuilder(ApplicationRow, "a")
    .select(["a.id", "a.token"])
    .where({ id: { $in: ids } })
    .execute("all");
  return new Map(found.map((row) => [row.id as number, row.token as string]));
}
