import { randomInt } from "node:crypto";
import { DELETED_ALL, type Deletion, type Deletions } from "../../core/deletion.ts";
import type { ChatKey, Counter } from "../../core/ports.ts";
import { recount } from "./counts.ts";
import { Database, type Session } from "./database.ts";
import { ApplicationRow, ChatRow, DeletionRow } from "./entities.ts";
import { type Held, hold, holdIfThere, writeHeld } from "./held.ts";
import { type CounterKey, findApplicationIds } from "./keys.ts";
import type { Orm } from "./orm.ts";
import { removeChunk } from "./removal.ts";
import { expireMessages, findExpired } from "./retention.ts";
import { joinVoids } from "./voids.ts";

/** How far a deletion has come: nothing but decided, gone from the intake, looked through once. */
const STAGE = { decided: 0, counted: 1, purged: 2 };

type Step = { known: boolean; ceiling?: number; now: Date };
type Decision = "deleted" | "missing" | "changed";

/** Deletions in MySQL, MariaDB or SQLite, through MikroORM. */
export class SqlDeletions implements Deletions {
  private readonly database: Database;

  constructor(options: { orm: Orm }) {
    this.database = new Database(options.orm);
  }

  ceiling(counter: Counter): Promise<number> {
    return this.database.read(async (em) => {
      const [row] = await this.database.rows<{ ceiling: number }>(
        em,
        `SELECT c.ceiling FROM applications a JOIN ceilings c ON c.application_id = a.id
          WHERE a.token = ? AND c.chat_number = ?`,
        [counter.applicationToken, counter.chatNumber ?? 0],
      );
      return row?.ceiling ?? 0;
    });
  }

  decide(counter: Counter, step: Step): Promise<Decision> {
    const { applicationToken, chatNumber = 0 } = counter;
    return this.database.transaction(async (em) => {
      const ids = await findApplicationIds(this.database, em, [applicationToken], "all");
      const applicationId = ids.get(applicationToken);
      if (applicationId === undefined) return "missing";
      const parent = { applicationId, chatNumber: 0 };
      const heldParent = await hold(this.database, em, parent);
      if (chatNumber === 0) return this.decideApplication(em, parent, heldParent, step);
      if (heldParent.deletedThrough === DELETED_ALL) return "missing";
      return this.decideChat(em, { applicationId, chatNumber }, heldParent, step);
    });
  }

  async confirm(counter: Counter): Promise<void> {
    await this.database.transaction(async (em) => {
      const key = await this.keyOf(em, counter);
      if (key === undefined) return;
      const where = { ...key, stage: STAGE.decided };
      await em.nativeUpdate(DeletionRow, where, { stage: STAGE.counted });
    });
  }

  async listDeleted(counter: Counter, numbers: number[], signal?: AbortSignal): Promise<number[]> {
    if (numbers.length === 0) return [];
    const { applicationToken, chatNumber } = counter;
    // Each row by its key: an application may have very many.
    const wanted = [0, ...(chatNumber === undefined ? numbers : [chatNumber])];
    const rows = await this.database.read(
      (em) =>
        this.database.rows<{ chat_number: number; deleted_through: number }>(
          em,
          `SELECT c.chat_number, c.deleted_through FROM applications a
            JOIN ceilings c ON c.application_id = a.id WHERE a.token = ?
            AND c.chat_number IN (${wanted.map(() => "?").join(", ")})`,
          [applicationToken, ...wanted],
        ),
      signal,
    );
    const marks = new Map(rows.map((row) => [row.chat_number, row.deleted_through]));
    if (marks.get(0) === DELETED_ALL) return numbers;
    if (chatNumber !== undefined) {
      return numbers.filter((number) => number <= (marks.get(chatNumber) ?? 0));
    }
    return numbers.filter((number) => marks.get(number) === DELETED_ALL);
  }

  list(limit: number, now: Date): Promise<Deletion[]> {
    return this.database.read(async (em) => {
      const rows = await this.database.rows<{
        token: string;
        chat_number: number;
        through_number: number;
        stage: number;
        version: number;
        chats: number;
      }>(
        em,
        `SELECT a.token, d.chat_number, d.through_number, d.stage, d.version,
          (SELECT c.ceiling FROM ceilings c
            WHERE c.application_id = d.application_id AND c.chat_number = 0) AS chats
          FROM deletions d JOIN applications a ON a.id = d.application_id
          WHERE d.due_time <= ? ORDER BY d.application_id, d.chat_number LIMIT ${limit}`,
        [now],
      );
      return rows.map((row) => ({
        counter:
          row.chat_number === 0
            ? { applicationToken: row.token }
            : { applicationToken: row.token, chatNumber: row.chat_number },
        throughNumber: row.through_number,
        lastChat: row.chats,
        again: row.stage === STAGE.purged,
        version: row.version,
      }));
    });
  }

  removeRows(deletion: Deletion, limit: number): Promise<number> {
    return this.database.transaction(async (em) => {
      const key = await this.keyOf(em, deletion.counter);
      if (key === undefined) return 0;
      const whole = { applicationId: key.application, chatNumber: key.chatNumber };
      return removeChunk(this.database, em, whole, { ...deletion, limit });
    });
  }

  async postpone(deletion: Deletion, until: Date): Promise<void> {
    const { counter, version } = deletion;
    await this.database.transaction(async (em) => {
      const key = await this.keyOf(em, counter);
      if (key === undefined) return;
      const change = { stage: STAGE.purged, dueTime: until };
      await em.nativeUpdate(DeletionRow, { ...key, version }, change);
    });
  }

  async forget({ counter, version }: Deletion): Promise<void> {
    await this.database.transaction(async (em) => {
      const key = await this.keyOf(em, counter);
      if (key !== undefined) await em.nativeDelete(DeletionRow, { ...key, version });
    });
  }

  findExpired(page: { after: string; before: Date; limit: number }) {
    return this.database.read((em) => findExpired(this.database, em, page));
  }

  expire(key: ChatKey, step: { before: Date; now: Date; limit: number }): Promise<number> {
    return this.database.transaction(async (em) => {
      const ids = await findApplicationIds(this.database, em, [key.applicationToken]);
      const applicationId = ids.get(key.applicationToken);
      if (applicationId === undefined) return 0;
      const counter = { applicationId, chatNumber: key.chatNumber };
      const { count, throughNumber } = await expireMessages(this.database, em, counter, step);
      if (count > 0) await note(em, counter, { throughNumber, stage: STAGE.counted, ...step });
      return count;
    });
  }

  private async decideApplication(
    em: Session,
    key: CounterKey,
    held: Held,
    step: Step,
  ): Promise<Decision> {
    if (held.deletedThrough === DELETED_ALL) return this.decidedBefore(em, key);
    if (step.ceiling !== undefined) {
      const chat = em.createQueryBuilder(ChatRow).select("number").limit(1);
      const there = await chat.where({ application: key.applicationId }).execute("all");
      if (held.ceiling !== step.ceiling || there.length > 0) return "changed";
    }
    const gone = { name: "", chatsCount: 0, countTime: null, deleteTime: step.now };
    await em.nativeUpdate(ApplicationRow, { id: key.applicationId }, gone);
    await this.mark(em, key, held, step);
    return "deleted";
  }

  private async decideChat(
    em: Session,
    key: CounterKey,
    parent: Held,
    step: Step,
  ): Promise<Decision> {
    const { applicationId: application, chatNumber: number } = key;
    const before = await holdIfThere(this.database, em, key);
    if (before?.deletedThrough === DELETED_ALL) return this.decidedBefore(em, key);
    if (!step.known) {
      const row = em.createQueryBuilder(ChatRow).select("number").limit(1);
      if ((await row.where({ application, number }).execute("all")).length === 0) return "missing";
    }
    const held = before ?? (await hold(this.database, em, key));
    if (step.ceiling !== undefined) {
      const [row] = await this.database.rows(
        em,
        "SELECT number FROM messages WHERE application_id = ? AND chat_number = ? LIMIT 1",
        [application, number],
      );
      if (held.ceiling !== step.ceiling || row !== undefined) return "changed";
    }
    await em.nativeDelete(ChatRow, { application, number });
    const chats = { applicationId: application, chatNumber: 0 };
    const own = { firstNumber: number, lastNumber: number };
    const { lastNumber } = await joinVoids(this.database, em, chats, own);
    const lastVoid = Math.max(parent.lastVoid, lastNumber);
    await writeHeld(em, chats, { ...parent, lastVoid });
    await recount(this.database, em, chats);
    await this.mark(em, key, held, step);
    return "deleted";
  }

  /** Nothing of the counter will ever be written again, from the commit on. */
  private async mark(em: Session, key: CounterKey, held: Held, { now }: Step): Promise<void> {
    await writeHeld(em, key, { ...held, deletedThrough: DELETED_ALL });
    await note(em, key, { throughNumber: DELETED_ALL, stage: STAGE.decided, now });
  }

  /** One whose counters may still be in the intake is deleted once more, so that they go too. */
  private async decidedBefore(em: Session, key: CounterKey): Promise<Decision> {
    const { applicationId: application, chatNumber } = key;
    const open = em.createQueryBuilder(DeletionRow).select("stage").limit(1);
    const where = { application, chatNumber, stage: STAGE.decided };
    return (await open.where(where).execute("all")).length > 0 ? "deleted" : "missing";
  }

  private async keyOf(em: Session, { applicationToken, chatNumber = 0 }: Counter) {
    const ids = await findApplicationIds(this.database, em, [applicationToken], "all");
    const application = ids.get(applicationToken);
    return application === undefined ? undefined : { application, chatNumber };
  }
}

/** Notes what is to be purged, with what was noted before and is not purged yet. */
async function note(
  em: Session,
  { applicationId: application, chatNumber }: CounterKey,
  step: { throughNumber: number; stage: number; now: Date },
): Promise<void> {
  const { throughNumber, stage, now: dueTime } = step;
  await em.nativeDelete(DeletionRow, { application, chatNumber });
  // Drawn anew, so that who purged what was noted before does not take this for purged.
  const version = randomInt(1, 2 ** 48 - 1);
  const key = { application, chatNumber };
  await em.insert(DeletionRow, { ...key, throughNumber, stage, dueTime, version });
}
