import { textOfAttributes } from "../../core/attributes.ts";
import type { ChatJob, Job, MessageJob } from "../../core/jobs.ts";
import type { Outcome } from "../../core/ports.ts";
import type { Database, Session, Value } from "./database.ts";
import { WORDS } from "./dialects.ts";
import { failureOf, nameOf, storeUnavailable } from "./failures.ts";
import { holdAll, isDeleted, type Marks } from "./held.ts";
import { type CounterKey, findApplicationIds, nameOfKey } from "./keys.ts";
import { type Content, differenceOf, findStored, nameOfRow, type Placed } from "./stored.ts";
import { takeFromVoids } from "./voids.ts";
import { highestOf, noteSight } from "./witnesses.ts";

/** Bytes of values in one statement, far below the smallest max_allowed_packet in use. */
export const STATEMENT_BYTES_MAX = 512 * 1024;

/** A batch is begun anew at most this often because others write the same rows. */
const PLANS_MAX = 8;

/** How a batch is gone about; the first plan is what nearly all batches need. */
interface Plan {
  /** Hold the counters alone, because numbers of the batch may be void. */
  exclusive: boolean;
  /** Look which rows are there before inserting, because some are. */
  look: boolean;
}

/** Thrown to undo a transaction and go about the batch in another way. */
class Replan {
  readonly plan: Plan;

  constructor(plan: Plan) {
    this.plan = plan;
  }
}

/**
 * Writes the rows of jobs, see Store.insertJobs. Where a value cannot be stored the batch is halved
 * until the job that has it is alone.
 */
export async function insertJobs(
  database: Database,
  jobs: Job[],
  writer: string,
): Promise<Outcome[]> {
  if (jobs.length === 0) return [];
  try {
    return await insertTogether(database, jobs, writer);
  } catch (error) {
    if (failureOf(error) !== "data") throw error;
    if (jobs.length === 1) return [failed(jobs[0]!, `cannot be stored: ${nameOf(error)}`)];
    const half = jobs.length >> 1;
    return [
      ...(await insertJobs(database, jobs.slice(0, half), writer)),
      ...(await insertJobs(database, jobs.slice(half), writer)),
    ];
  }
}

async function insertTogether(database: Database, jobs: Job[], writer: string): Promise<Outcome[]> {
  const sight = highestOf(jobs);
  let plan: Plan = { exclusive: false, look: false };
  for (let plans = 1; ; plans++) {
    try {
      return await database.transaction(async (em) => {
        const outcomes = await insertPlanned(database, em, jobs, plan);
        if (sight !== undefined) await noteSight(database, em, writer, sight);
        return outcomes;
      });
    } catch (error) {
      if (!(error instanceof Replan)) throw error;
      if (plans === PLANS_MAX) {
        throw storeUnavailable(new Error("others keep writing the same rows"));
      }
      plan = error.plan;
    }
  }
}

async function insertPlanned(
  database: Database,
  em: Session,
  jobs: Job[],
  plan: Plan,
): Promise<Outcome[]> {
  const placed = await place(database, em, jobs);
  const all = firstOfEach(placed.values());
  const marks = await holdAll(database, em, {
    ...plan,
    keys: all.flatMap((one) => keysOf(one, plan)),
  });
  const rows = all.filter((one) => !isGone(one, marks));
  const late = rows.filter(
    (one) => one.job.number <= (marks.get(nameOfKey(one.key))?.lastVoid ?? 0),
  );
  if (late.length > 0 && !plan.exclusive) throw new Replan({ ...plan, exclusive: true });

  const stored = plan.look ? await findStored(database, em, rows) : new Map<string, Content>();
  const fresh = rows.filter((one) => !stored.has(nameOfRow(one)));
  if ((await insertRows(database, em, fresh)) < fresh.length) {
    throw new Replan({ ...plan, look: true });
  }
  for (const [key, numbers] of byCounter(late)) await takeFromVoids(database, em, key, numbers);
  return jobs.map((job) => {
    const one = placed.get(job);
    if (one !== undefined && isGone(one, marks)) return { kind: "deleted" };
    return outcomeOf(job, one, stored);
  });
}

/**
 * The counters to hold for a job. A deleted chat's number is void, so only a batch that holds alone
 * needs to tell it from one that was lost, by the chat's own counter.
 */
function keysOf({ job, key }: Placed, plan: Plan): CounterKey[] {
  return job.kind === "chat" && plan.exclusive ? [key, ownKeyOf(key, job)] : [key];
}

function ownKeyOf({ applicationId }: CounterKey, chat: ChatJob): CounterKey {
  return { applicationId, chatNumber: chat.number };
}

/** True where the number was deleted, alone or with all that it was in. */
function isGone({ job, key }: Placed, marks: Marks): boolean {
  if (isDeleted(marks, key)) return true;
  if (job.kind === "chat") return isDeleted(marks, ownKeyOf(key, job));
  return job.number <= (marks.get(nameOfKey(key))?.deletedThrough ?? 0);
}

/** One job for each row: of two with one number the first, as if they came in two batches. */
function firstOfEach(placed: Iterable<Placed>): Placed[] {
  const rows = new Map<string, Placed>();
  for (const one of placed) {
    const name = nameOfRow(one);
    if (!rows.has(name)) rows.set(name, one);
  }
  return [...rows.values()];
}

/** What became of a job; `stored` has the rows before it, those of this batch too. */
function outcomeOf(job: Job, placed: Placed | undefined, stored: Map<string, Content>): Outcome {
  if (placed === undefined) return failed(job, "belongs to no application");
  const name = nameOfRow(placed);
  const there = stored.get(name);
  if (there === undefined) {
    stored.set(name, job);
    return { kind: "inserted" };
  }
  const difference = differenceOf(job, there);
  if (difference === undefined) return { kind: "present" };
  return failed(job, `is there already with another ${difference}`);
}

/** The jobs whose application exists or did, each with the key of its counter. */
async function place(database: Database, em: Session, jobs: Job[]): Promise<Map<Job, Placed>> {
  const tokens = jobs.map((job) => job.applicationToken);
  const ids = await findApplicationIds(database, em, tokens, "all");
  const placed = new Map<Job, Placed>();
  for (const job of jobs) {
    const applicationId = ids.get(job.applicationToken);
    if (applicationId === undefined) continue;
    const chatNumber = job.kind === "chat" ? 0 : job.chatNumber;
    placed.set(job, { job, key: { applicationId, chatNumber } });
  }
  return placed;
}

/** Inserts rows that are not there and returns how many; those that are there stay as they are. */
async function insertRows(database: Database, em: Session, rows: Placed[]): Promise<number> {
  // In the order of the keys, so that two batches with the same rows do not wait in a circle.
  const sorted = [...rows].sort(
    (one, other) =>
      one.key.applicationId - other.key.applicationId ||
      one.key.chatNumber - other.key.chatNumber ||
      one.job.number - other.job.number,
  );
  const chats: Value[][] = [];
  const messages: Value[][] = [];
  for (const { job, key } of sorted) {
    if (job.kind === "chat") chats.push(valuesOfChat(job, key));
    else messages.push(valuesOfMessage(job, key));
  }
  let inserted = 0;
  for (const values of chunks(chats)) {
    inserted += await insertValues(database, em, CHATS, values);
  }
  for (const values of chunks(messages)) {
    inserted += await insertValues(database, em, MESSAGES, values);
  }
  return inserted;
}

const CHATS = "chats (application_id, number, create_time, request_id, external_id, attributes)";
const MESSAGES =
  "messages (application_id, chat_number, number, body, author, create_time, request_id, " +
  "attributes, original_time)";

function valuesOfChat(job: ChatJob, { applicationId }: CounterKey): Value[] {
  const { number, createMs, requestId, externalId } = job;
  const attributes = textOfAttributes(job.attributes);
  return [applicationId, number, new Date(createMs), requestId, externalId, attributes];
}

function valuesOfMessage(job: MessageJob, { applicationId, chatNumber }: CounterKey): Value[] {
  const { number, body, author, createMs, requestId, originalMs } = job;
  const key = [applicationId, chatNumber, number];
  const attributes = textOfAttributes(job.attributes);
  const originalTime = originalMs === undefined ? undefined : new Date(originalMs);
  return [...key, body, author, new Date(createMs), requestId, attributes, originalTime];
}

/** The one hot statement, written by hand: docs/adr/0030-the-hot-insert-is-written-by-hand.md. */
function insertValues(
  database: Database,
  em: Session,
  into: string,
  rows: Value[][],
): Promise<number> {
  const marks = `(${rows[0]!.map(() => "?").join(", ")})`;
  const sql =
    `INSERT INTO ${into} VALUES ${new Array(rows.length).fill(marks).join(", ")}` +
    WORDS[database.dialect].keep("number");
  return database.run(em, sql, rows.flat());
}

/** Cuts rows into statements that no server refuses for their size. */
function chunks(rows: Value[][]): Value[][][] {
  const cut: Value[][][] = [];
  let bytes = STATEMENT_BYTES_MAX;
  for (const row of rows) {
    // A character takes up to 3 bytes of UTF-8 for each unit, or 2 where it is escaped.
    const size = row.reduce<number>((sum, value) => sum + 3 * String(value ?? "").length, 0);
    if (bytes + size > STATEMENT_BYTES_MAX) {
      cut.push([]);
      bytes = 0;
    }
    cut[cut.length - 1]!.push(row);
    bytes += size;
  }
  return cut;
}

function byCounter(rows: Placed[]): Map<CounterKey, number[]> {
  const counters = new Map<string, [CounterKey, number[]]>();
  for (const { key, job } of rows) {
    const name = nameOfKey(key);
    const counter = counters.get(name) ?? [key, []];
    counter[1].push(job.number);
    counters.set(name, counter);
  }
  return new Map(counters.values());
}

function failed(job: Job, why: string): Outcome {
  const what = job.kind === "chat" ? "chat" : `chat ${job.chatNumber} message`;
  return { kind: "failed", error: new Error(`${what} number ${job.number} ${why}`) };
}
