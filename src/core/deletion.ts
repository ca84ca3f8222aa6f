import { isUnavailable, ParleyError } from "../errors.ts";
import type { Core } from "./core.ts";
import type { Intake } from "./intake.ts";
import { jobIdOf } from "./jobs.ts";
import { DELETE_ROUNDS_MAX, REPLAY_LOOK_MS, VOID_JOBS_MAX } from "./limits.ts";
import type { ChatKey, Counter } from "./ports.ts";

/** Numbers up to this one were deleted: all that a counter can ever give. */
export const DELETED_ALL = Number.MAX_SAFE_INTEGER;

/**
 * Something that was deleted: an application or a chat, told by the counter of what is in it, or
 * the first messages of a chat.
 */
export interface Deletion {
  counter: Counter;
  /** The messages up to it; DELETED_ALL where the chat or application is gone as a whole. */
  throughNumber: number;
  /** No chat of the application has a higher number. */
  lastChat: number;
  /** True where all of it was purged once, and what was late then may be there now. */
  again: boolean;
  /** Another one after every change. */
  version: number;
}

/** How an intake lets go of counters; the rest of that port is in ports.ts. */
export interface Removal {
  /**
   * Takes a counter away and leaves a mark, so that nothing is accepted but after a new grant; in
   * an application also in none of its chats. With `expected` it is only closed: its chats are left
   * alone, and false is said, and nothing done, where its value is another.
   */
  remove(counter: Counter, expected?: { value: number | undefined }): Promise<boolean>;
  /** The mark that `remove` left, "" for none. */
  markOf(counter: Counter): Promise<string>;
  /** Takes all away that there is of counters which were deleted, marks too. */
  erase(counters: Counter[]): Promise<void>;
}

/**
 * The port of deletions. They are decided here, in one transaction that leaves a mark in rows which
 * every writer of rows holds: a writer is before the mark, so its rows are purged, or sees it.
 */
export interface Deletions {
  /** The ceiling that was granted to a counter, 0 where none was. Each seed raises it. */
  ceiling(counter: Counter): Promise<number>;
  /**
   * Deletes the application or chat whose inside the counter numbers. From the commit on it has no
   * rows for any reader, and no writer gives it any. `known` says that a job of the chat was seen,
   * which need not have a row yet. With `ceiling`, "changed" and nothing is done where another was
   * granted since or rows are there. "missing" where there is no such thing, or where it was
   * deleted before and confirmed to have left the intake.
   */
  decide(
    counter: Counter,
    step: { known: boolean; ceiling?: number; now: Date },
  ): Promise<"deleted" | "missing" | "changed">;
  /** Notes that the intake has the counter no more. */
  confirm(counter: Counter): Promise<void>;
  /** Those of the numbers that were deleted, alone or with all that they are in. */
  listDeleted(counter: Counter, numbers: number[], signal?: AbortSignal): Promise<number[]>;
  /** Some deletions that are to be purged now, at most `limit`. */
  list(limit: number, now: Date): Promise<Deletion[]>;
  /** Takes away some rows of a deletion, at most `limit`; returns how many, 0 when none is left. */
  removeRows(deletion: Deletion, limit: number): Promise<number>;
  /** Notes that a deletion is purged, to be looked at again then; nothing where it has changed. */
  postpone(deletion: Deletion, until: Date): Promise<void>;
  /** Ends a deletion; nothing where it has changed. What it marked stays marked for ever. */
  forget(deletion: Deletion): Promise<void>;
  /**
   * Chats whose first message is older than `before`, among `limit` chats after a place: "" is the
   * beginning, `next` the place to go on from, undefined at the end.
   */
  findExpired(page: {
    after: string;
    before: Date;
    limit: number;
  }): Promise<{ chats: ChatKey[]; next: string | undefined }>;
  /**
   * Deletes the first messages of a chat, in the order of their numbers, up to one that is not
   * older than `before`, at most `limit`. Their numbers become one void. Returns how many.
   */
  expire(key: ChatKey, step: { before: Date; now: Date; limit: number }): Promise<number>;
}

/**
 * Deletes an application or a chat; false where there is none. The database decides first. Should
 * the intake be away after that, the caller hears so, and the same call or the purge goes on.
 */
export async function deleteWhole(
  core: Core,
  counter: Counter,
  step: { known: boolean; force: boolean; now: Date },
): Promise<boolean> {
  await core.numbering.check();
  const { known, force, now } = step;
  const decided = force
    ? await core.deletions.decide(counter, { known, now })
    : await decideEmpty(core, counter, { known, now });
  if (decided === "missing") return false;
  await core.intake.remove(counter);
  await core.deletions.confirm(counter);
  return true;
}

/**
 * Decides only where nothing is inside, also where others create at the same time. The counter is
 * closed in the intake where it stands at what was found empty. Who creates after that needs a new
 * grant, which raises the ceiling in the database, and the decision sees that. Where that happens
 * the chat lives on, above numbers that were skipped.
 */
async function decideEmpty(
  core: Core,
  counter: Counter,
  step: { known: boolean; now: Date },
): Promise<"deleted" | "missing"> {
  if (!step.known) {
    // Nothing is to be closed for what does not exist. No counter has this ceiling.
    const decided = await core.deletions.decide(counter, { ...step, ceiling: -1 });
    if (decided !== "changed") return decided;
  }
  for (let round = 0; round < DELETE_ROUNDS_MAX; round++) {
    const ceiling = await core.deletions.ceiling(counter);
    const [value] = await core.intake.counts([counter]);
    if (Number.isNaN(value)) break;
    if (!(await isEmpty(core, counter, value ?? 0))) break;
    if (!(await core.intake.remove(counter, { value }))) continue;
    const decided = await core.deletions.decide(counter, { ...step, ceiling });
    if (decided !== "changed") return decided;
  }
  throw new ParleyError("NOT_EMPTY", "there is something in it; force deletes that too");
}

/** True where each number that was given is void, and no job shows it to be given all the same. */
async function isEmpty(core: Core, counter: Counter, value: number): Promise<boolean> {
  const [voids = 0] = await core.ledger.countVoids([{ counter, count: value }]);
  if (voids < value) return false;
  const looked = Math.min(value, VOID_JOBS_MAX);
  const numbers = Array.from({ length: looked }, (_, at) => value - at);
  const jobs = await findJobs(core, counter, numbers);
  return jobs.every((job) => job === undefined);
}

/** Jobs that are not applied yet, in the order asked for; those of deleted numbers are no more. */
export async function findJobs(
  core: Core,
  counter: Counter,
  numbers: number[],
): ReturnType<Intake["find"]> {
  const { applicationToken, chatNumber } = counter;
  const inChat = chatNumber === undefined ? {} : { chatNumber };
  const ids = numbers.map((number) => jobIdOf({ applicationToken, ...inChat, number }));
  const jobs = await core.intake.find(ids);
  // Asked after the jobs, so that none is shown that was deleted before they were looked for.
  const found = numbers.filter((_, at) => jobs[at] !== undefined);
  if (found.length === 0) return jobs;
  const deleted = new Set(await core.deletions.listDeleted(counter, found));
  return jobs.map((job, at) => (deleted.has(numbers[at]!) ? undefined : job));
}

/**
 * True where the number of a replayed create was deleted since. Where that cannot be told soon the
 * first answer stands: it says nothing that its caller did not send.
 */
export async function isReplayDeleted(
  core: Core,
  counter: Counter,
  number: number,
): Promise<boolean> {
  const late = AbortSignal.timeout(REPLAY_LOOK_MS);
  try {
    return (await core.deletions.listDeleted(counter, [number], late)).length > 0;
  } catch (error) {
    if (!isUnavailable(error) && !late.aborted) throw error;
    return false;
  }
}
