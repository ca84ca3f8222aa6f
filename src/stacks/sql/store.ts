import { raw } from "@mikro-orm/sql";
import type { Application } from "../../../gen/parley/v1/application.ts";
import type { Chat } from "../../../gen/parley/v1/chat.ts";
import type { Message } from "../../../gen/parley/v1/message.ts";
import { type NumberRange, State } from "../../../gen/parley/v1/state.ts";
import { parseAttributes } from "../../core/attributes.ts";
import type { Change, ChangeStep, Content } from "../../core/changes.ts";
import type { ExternalName } from "../../core/intake.ts";
import type { Job } from "../../core/jobs.ts";
import type { ChatKey, Counter, NumberPage, Outcome, Store } from "../../core/ports.ts";
import type { ListedGap, Position } from "../../core/upkeep.ts";
import { changeCount, deleteMessage, listChanges, updateMessage } from "./changes.ts";
import { updateCounts } from "./counts.ts";
import { Database, type Session } from "./database.ts";
import { ApplicationRow, CeilingRow, ChatRow } from "./entities.ts";
import { isDuplicate } from "./failures.ts";
import { adoptIndex, closeGap, type Gap, listGaps, noteGaps } from "./gaps.ts";
import { insertJobs } from "./insert-jobs.ts";
import { readMessages } from "./messages.ts";
import type { Orm } from "./orm.ts";

type Request = { id: string; digest: string };
type Inserted = Awaited<ReturnType<Store["insertApplication"]>>;

/** Rows in MySQL, MariaDB or SQLite, through MikroORM. */
export class SqlStore implements Store {
  private readonly database: Database;
  private readonly processId: string;
  /** Batches in work at a time each have a lane, so that none waits to write another's row. */
  private readonly lanes = new Set<number>();

  constructor(options: { orm: Orm; processId: string }) {
    this.database = new Database(options.orm);
    this.processId = options.processId;
  }

  async insertApplication(application: Application, request?: Request): Promise<Inserted> {
    try {
      return await this.database.transaction(async (em) => {
        const earlier = await findReplay(em, request);
        if (earlier !== undefined) return earlier;
        const id = await em.insert(ApplicationRow, {
          token: application.token,
          name: application.name,
          chatsCount: application.chatsCount,
          createTime: application.createTime!,
          updateTime: application.updateTime!,
          requestId: request?.id ?? null,
          requestDigest: request?.digest ?? null,
        });
        const granted = { ceiling: 0, floor: 0, lastVoid: 0, deletedThrough: 0 };
        await em.insert(CeilingRow, { application: id, chatNumber: 0, ...granted });
        const digest = request?.digest ?? "";
        return { application, replayed: false, deleted: false, digest };
      });
    } catch (error) {
      if (!isDuplicate(error)) throw error;
      // Another call with the same request id was first.
      const earlier = await this.database.read((em) => findReplay(em, request));
      if (earlier === undefined) throw error;
      return earlier;
    }
  }

  findApplication(token: string, signal?: AbortSignal): Promise<Application | undefined> {
    return this.database.read((em) => findApplication(em, { token }), signal);
  }

  listApplications(page: {
    after: number;
    limit: number;
    signal?: AbortSignal;
  }): Promise<{ position: number; application: Application }[]> {
    return this.database.read(async (em) => {
      const rows = await em
        .createQueryBuilder(ApplicationRow)
        .where({ id: { $gt: page.after }, deleteTime: null })
        .orderBy({ id: 1 })
        .limit(page.limit)
        .execute<ApplicationRow[]>("all");
      return rows.map((row) => ({ position: row.id, application: applicationOf(row) }));
    }, page.signal);
  }

  updateApplication(
    token: string,
    change: { name: string; updateTime: Date },
  ): Promise<Application | undefined> {
    return this.database.transaction(async (em) => {
      await em.nativeUpdate(ApplicationRow, { token, deleteTime: null }, change);
      return findApplication(em, { token });
    });
  }

  async insertJobs(jobs: Job[]): Promise<Outcome[]> {
    let lane = 0;
    while (this.lanes.has(lane)) lane++;
    this.lanes.add(lane);
    try {
      return await insertJobs(this.database, jobs, `${this.processId}/${lane}`);
    } finally {
      this.lanes.delete(lane);
    }
  }

  async findChat(key: ChatKey, signal?: AbortSignal): Promise<Chat | undefined> {
    const { applicationToken, chatNumber } = key;
    const page = { after: chatNumber - 1, before: chatNumber + 1, order: "asc", limit: 1 } as const;
    const chats = await this.listChats(applicationToken, { ...page, ...(signal && { signal }) });
    return chats[0];
  }

  listChats(applicationToken: string, page: NumberPage): Promise<Chat[]> {
    return this.database.read(async (em) => {
      const rows = await em
        .createQueryBuilder(ChatRow, "c")
        .select(CHAT_FIELDS)
        .innerJoin("c.application", "a")
        .where({ "a.token": applicationToken, "a.deleteTime": null, number: within(page) })
        .orderBy({ number: page.order })
        .limit(page.limit)
        .execute<ChatRow[]>("all");
      return rows.map((row) => chatOf(row, applicationToken));
    }, page.signal);
  }

  findNamedChat(name: ExternalName, signal?: AbortSignal): Promise<Chat | undefined> {
    const { applicationToken, externalId } = name;
    return this.database.read(async (em) => {
      const row = await em
        .createQueryBuilder(ChatRow, "c")
        .select(CHAT_FIELDS)
        .innerJoin("c.application", "a")
        .where({ "a.token": applicationToken, "a.deleteTime": null, externalId })
        // MySQL takes no notice of spaces at the end.
        .andWhere(raw("octet_length(c.external_id) = ?", [Buffer.byteLength(externalId)]))
        .orderBy({ number: "desc" })
        .limit(1)
        .execute<ChatRow | null>("get");
      return row === null ? undefined : chatOf(row, applicationToken);
    }, signal);
  }

  listMessages(key: ChatKey, page: NumberPage): Promise<Message[]> {
    const { after, before, limit, order, signal } = page;
    const bounded = before <= Number.MAX_SAFE_INTEGER;
    const sql = `AND m.number > ?${bounded ? " AND m.number < ?" : ""}
      ORDER BY m.number ${order === "asc" ? "ASC" : "DESC"} LIMIT ${limit}`;
    const values = bounded ? [after, before] : [after];
    return this.readMessages(key, { sql, values, signal });
  }

  countMessages(key: ChatKey, range: NumberRange, signal?: AbortSignal): Promise<number> {
    return this.database.read(async (em) => {
      const [row] = await this.database.rows<{ count: number }>(
        em,
        `SELECT COUNT(*) AS count FROM applications a JOIN messages m ON m.application_id = a.id
          WHERE a.token = ? AND m.chat_number = ? AND m.number BETWEEN ? AND ?`,
        [key.applicationToken, key.chatNumber, range.firstNumber, range.lastNumber],
      );
      return Number(row!.count);
    }, signal);
  }

  async findMessages(key: ChatKey, numbers: number[], signal?: AbortSignal): Promise<Message[]> {
    if (numbers.length === 0) return [];
    const sql = `AND m.number IN (${numbers.map(() => "?").join()})`;
    return this.readMessages(key, { sql, values: numbers, signal });
  }

  updateMessage(key: ChatKey, number: number, content: Content, step: ChangeStep): Promise<Change> {
    return this.database.transaction((em) =>
      updateMessage(this.database, em, { key, number }, { ...content, ...step }),
    );
  }

  deleteMessage(key: ChatKey, number: number, step: ChangeStep): Promise<Change> {
    return this.database.transaction((em) =>
      deleteMessage(this.database, em, { key, number }, step),
    );
  }

  listChanges(
    key: ChatKey,
    page: { after: number; limit: number; signal?: AbortSignal },
  ): Promise<{ changeNumber: number; message: Message }[]> {
    return this.database.read((em) => listChanges(this.database, em, key, page), page.signal);
  }

  changeCount(key: ChatKey, signal?: AbortSignal): Promise<number> {
    return this.database.read((em) => changeCount(this.database, em, key), signal);
  }

  updateCounts(counts: { counter: Counter; count: number }[], countTime: Date): Promise<Counter[]> {
    return this.database.transaction((em) => updateCounts(this.database, em, counts, countTime));
  }

  private readMessages(key: ChatKey, more: Parameters<typeof readMessages>[3]): Promise<Message[]> {
    return this.database.read(async (em) => {
      const found = await readMessages(this.database, em, key, more);
      return found.map((one) => one.message);
    }, more.signal);
  }

  noteGaps(gaps: Gap[]): Promise<void> {
    return this.database.transaction((em) => noteGaps(this.database, em, gaps));
  }

  listGaps(limit: number, after?: Position): Promise<ListedGap[]> {
    return this.database.read((em) => listGaps(em, limit, after));
  }

  closeGap(gap: { version: number; left?: NumberRange } & ChatKey): Promise<boolean> {
    return this.database.transaction((em) => closeGap(this.database, em, gap));
  }

  adoptIndex(identity: string): Promise<boolean> {
    return this.database.transaction((em) => adoptIndex(this.database, em, identity));
  }
}

async function findReplay(em: Session, request?: Request): Promise<Inserted | undefined> {
  if (request === undefined) return undefined;
  const row = await findRow(em, { requestId: request.id });
  if (row === undefined) return undefined;
  const deleted = row.deleteTime !== null;
  const digest = row.requestDigest ?? "";
  return { application: applicationOf(row), replayed: true, deleted, digest };
}

async function findApplication(
  em: Session,
  where: { token: string },
): Promise<Application | undefined> {
  const row = await findRow(em, { ...where, deleteTime: null });
  return row === undefined ? undefined : applicationOf(row);
}

async function findRow(
  em: Session,
  where: { token: string; deleteTime: null } | { requestId: string },
): Promise<ApplicationRow | undefined> {
  const query = em.createQueryBuilder(ApplicationRow).where(where);
  return (await query.execute<ApplicationRow | null>("get")) ?? undefined;
}

const CHAT_FIELDS = [
  "c.number",
  "c.messagesCount",
  "c.deletedCount",
  "c.countTime",
  "c.createTime",
  "c.externalId",
  "c.attributes",
] as const;

function within(page: NumberPage): { $gt: number; $lt?: number } {
  if (page.before > Number.MAX_SAFE_INTEGER) return { $gt: page.after };
  return { $gt: page.after, $lt: page.before };
}

function applicationOf(row: ApplicationRow): Application {
  const { token, name, chatsCount, createTime, updateTime } = row;
  return { token, name, chatsCount, countTime: row.countTime ?? undefined, createTime, updateTime };
}

function chatOf(row: ChatRow, applicationToken: string): Chat {
  const { number, messagesCount, deletedCount, createTime } = row;
  const countTime = row.countTime ?? undefined;
  const state = State.STATE_PERSISTED;
  const counts = { messagesCount, deletedCount, countTime };
  const said = {
    externalId: row.externalId ?? "",
    attributes: parseAttributes(row.attributes),
  };
  return { ...said, ...counts, applicationToken, number, createTime, state };
}
