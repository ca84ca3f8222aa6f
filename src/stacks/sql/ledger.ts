import type { NumberRange } from "../../../gen/parley/v1/state.ts";
import { DELETED_ALL } from "../../core/deletion.ts";
import { CEILING_BLOCK } from "../../core/limits.ts";
import type { Counter, Ledger } from "../../core/ports.ts";
import type { Position } from "../../core/upkeep.ts";
import { Database, type Session } from "./database.ts";
import { WORDS } from "./dialects.ts";
import { ChatRow, LedgerRow, MessageRow, WitnessRow } from "./entities.ts";
import { type Held, hold, writeHeld } from "./held.ts";
import { type CounterKey, findApplicationIds, findCounterKey } from "./keys.ts";
import type { Orm } from "./orm.ts";
import { findVoids, insertMissing } from "./voids.ts";
import { noteSight } from "./witnesses.ts";

interface GrantRequest {
  counter: Counter;
  epoch: number;
  ceiling?: number;
  room?: number;
  known: boolean;
  atLeast?: number;
  lost?: boolean;
  unlessSeeded?: boolean;
}

type Granted = { start: number; ceiling: number };

/** The ledger in MySQL, MariaDB or SQLite, through MikroORM. */
export class SqlLedger implements Ledger {
  private readonly database: Database;

  constructor(options: { orm: Orm }) {
    this.database = new Database(options.orm);
  }

  get(): Promise<{ epoch: number; pending: boolean; runId: string; witnessed: number }> {
    return this.database.read(async (em) => {
      const [row] = await this.database.rows<{
        epoch: number;
        pending: number;
        run_id: string;
        witnessed: number | null;
      }>(
        em,
        `SELECT epoch, pending, run_id, (SELECT MAX(accepts) FROM witnesses
          WHERE witnesses.epoch = ledger.epoch) AS witnessed FROM ledger WHERE id = 1`,
      );
      const { epoch, pending, run_id: runId, witnessed } = row!;
      return { epoch, pending: pending === 1, runId, witnessed: witnessed ?? 0 };
    });
  }

  begin(step: { after: number; above?: number; runId: string }): Promise<void> {
    const { after, above = 0, runId } = step;
    const settled = above > after ? {} : { pending: false };
    return this.database.transaction(async (em) => {
      const begun = await em.nativeUpdate(
        LedgerRow,
        { id: 1, epoch: after, ...settled },
        { epoch: Math.max(after, above) + 1, pending: true, runId },
      );
      // What was seen of earlier epochs says nothing of this one.
      if (begun === 1) await em.nativeDelete(WitnessRow, { epoch: { $lte: step.after } });
    });
  }

  confirm(step: { epoch: number; runId: string }): Promise<void> {
    return this.database.transaction(async (em) => {
      const { epoch, runId } = step;
      await em.nativeUpdate(LedgerRow, { id: 1, epoch, pending: true }, { pending: false, runId });
    });
  }

  adopt(step: { epoch: number; runId: string }): Promise<void> {
    return this.database.transaction(async (em) => {
      const { epoch, runId } = step;
      await em.nativeUpdate(LedgerRow, { id: 1, epoch, pending: false }, { runId });
    });
  }

  witness(seen: { processId: string; epoch: number; accepts: number }): Promise<void> {
    return this.database.transaction((em) => noteSight(this.database, em, seen.processId, seen));
  }

  grant(request: GrantRequest): Promise<Granted | "stale" | "unknown"> {
    return this.database.transaction(async (em) => {
      if (!(await this.isCurrent(em, request.epoch))) return "stale";
      const key = await findCounterKey(this.database, em, request.counter);
      if (key === undefined || !(await this.exists(em, key, request))) return "unknown";
      const held = await hold(this.database, em, key);
      if (held.deletedThrough === DELETED_ALL) return "unknown";
      return request.ceiling === undefined
        ? this.seed(em, key, held, request)
        : this.raise(em, key, held, { ...request, ceiling: request.ceiling });
    });
  }

  async listVoids(counter: Counter, range: NumberRange, limit: number): Promise<NumberRange[]> {
    const voids = await this.database.read(async (em) => {
      const key = await findCounterKey(this.database, em, counter);
      return key === undefined ? [] : findVoids(this.database, em, key, range, limit);
    });
    return voids.map(({ firstNumber, lastNumber }) => ({
      firstNumber: Math.max(firstNumber, range.firstNumber),
      lastNumber: Math.min(lastNumber, range.lastNumber),
    }));
  }

  async countVoids(counters: { counter: Counter; count: number }[]): Promise<number[]> {
    if (counters.length === 0) return [];
    return this.database.read(async (em) => {
      const tokens = counters.map((one) => one.counter.applicationToken);
      const ids = await findApplicationIds(this.database, em, tokens);
      const given = counters.map(({ counter, count }, at) => {
        const id = ids.get(counter.applicationToken) ?? 0;
        return [id, counter.chatNumber ?? 0, count, at];
      });
      const { given: table, least } = WORDS[this.database.dialect];
      const rows = await this.database.rows<{ at: number; voids: number | string }>(
        em,
        `SELECT given.at, SUM(${least}(v.last_number, given.value) - v.first_number + 1) AS voids
          FROM ${table} JOIN voids v ON v.application_id = given.application_id
          AND v.chat_number = given.number AND v.first_number <= given.value GROUP BY given.at`,
        [JSON.stringify(given)],
      );
      // MySQL gives sums as text.
      const sums = new Map(rows.map((row) => [row.at, Number(row.voids)]));
      return counters.map((_, at) => sums.get(at) ?? 0);
    });
  }

  listUnseeded(
    limit: number,
    [application, chat]: Position = [0, -1],
  ): Promise<(Counter & { position: Position })[]> {
    return this.database.read(async (em) => {
      const rows = await this.database.rows<{ id: number; token: string; chat_number: number }>(
        em,
        `SELECT a.id, a.token, c.chat_number
          FROM ceilings c JOIN applications a ON a.id = c.application_id
          WHERE c.epoch < (SELECT epoch FROM ledger WHERE id = 1) AND c.deleted_through < ?
          AND a.delete_time IS NULL
          AND (c.application_id > ? OR (c.application_id = ? AND c.chat_number > ?))
          ORDER BY c.application_id, c.chat_number LIMIT ${limit}`,
        [DELETED_ALL, application, application, chat],
      );
      return rows.map(({ id, token: applicationToken, chat_number: chatNumber }) => {
        const position = [id, chatNumber] as const;
        return chatNumber === 0
          ? { applicationToken, position }
          : { applicationToken, chatNumber, position };
      });
    });
  }

  insertVoids(counter: Counter, range: NumberRange): Promise<void> {
    return this.database.transaction(async (em) => {
      const key = await findCounterKey(this.database, em, counter);
      if (key === undefined) return;
      const held = await hold(this.database, em, key);
      await insertMissing(this.database, em, key, range);
      const lastVoid = Math.max(held.lastVoid, range.lastNumber);
      if (lastVoid > held.lastVoid) await writeHeld(em, key, { ...held, lastVoid });
    });
  }

  /** Whether numbers may be granted in an epoch; no other can begin before the transaction ends. */
  private async isCurrent(em: Session, epoch: number): Promise<boolean> {
    const { forShare } = WORDS[this.database.dialect];
    const [row] = await this.database.rows<{ epoch: number; pending: number }>(
      em,
      `SELECT epoch, pending FROM ledger WHERE id = 1${forShare}`,
    );
    return row !== undefined && row.epoch === epoch && row.pending === 0;
  }

  /** Whether anything says that the counter exists, where its application does. */
  private async exists(
    em: Session,
    { applicationId: application, chatNumber }: CounterKey,
    { known }: GrantRequest,
  ): Promise<boolean> {
    if (chatNumber === 0 || known) return true;
    const chat = em.createQueryBuilder(ChatRow).where({ application, number: chatNumber });
    if ((await chat.limit(1).execute("all")).length > 0) return true;
    const message = em.createQueryBuilder(MessageRow).select("number").limit(1);
    const found = await message.where({ application, chatNumber }).execute("all");
    if (found.length === 0) return false;
    // A chat that was lost with its number is not brought back by messages that were written.
    const own = { firstNumber: chatNumber, lastNumber: chatNumber };
    const chats = { applicationId: application, chatNumber: 0 };
    return (await findVoids(this.database, em, chats, own, 1)).length === 0;
  }

  /**
   * Above every number that was ever granted. Whoever asks again in the same epoch is told the same
   * start: the intake takes the first, and loses it only together with the epoch.
   */
  private async seed(
    em: Session,
    key: CounterKey,
    held: Held,
    { epoch, atLeast = 0, lost = false, unlessSeeded = false, room }: GrantRequest,
  ): Promise<Granted> {
    if (held.epoch === epoch && !lost && (unlessSeeded || atLeast <= held.floor)) {
      return { start: held.floor, ceiling: held.ceiling };
    }
    const start = Math.max(held.ceiling, atLeast);
    await insertMissing(this.database, em, key, {
      firstNumber: held.floor + 1,
      lastNumber: start,
    });
    const ceiling = start + blockAfter(start, room);
    const lastVoid = Math.max(held.lastVoid, start);
    await writeHeld(em, key, { ...held, ceiling, floor: start, lastVoid, epoch });
    return { start, ceiling };
  }

  /** A ceiling that was raised meanwhile is told as it is. */
  private async raise(
    em: Session,
    key: CounterKey,
    held: Held,
    { ceiling: reached, room }: { ceiling: number; room?: number },
  ): Promise<Granted> {
    if (reached < held.ceiling) return { start: held.floor, ceiling: held.ceiling };
    const ceiling = reached + blockAfter(reached, room);
    await writeHeld(em, key, { ...held, ceiling });
    return { start: held.floor, ceiling };
  }
}

/**
 * Ceilings are 64, 192, 448 and so on: each block is twice the one before, up to the last size, and
 * no smaller than what must fit into it.
 */
function blockAfter(ceiling: number, room = 1): number {
  return Math.max(room, Math.min(ceiling + CEILING_BLOCK.first, CEILING_BLOCK.last));
}
