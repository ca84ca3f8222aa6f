import { DELETED_ALL, type Deletion } from "../core/deletion.ts";
import { counterOfJobId } from "../core/jobs.ts";
import { CHORE_ROWS_MAX, PURGE_AGAIN_MS, PURGE_DELETIONS_MAX } from "../core/limits.ts";
import type { Counter, Stack } from "../core/ports.ts";
import { isUnavailable } from "../errors.ts";

type Parts = Pick<Stack, "intake" | "queue" | "deletions" | "index">;

const DAY_MS = 24 * 60 * 60_000;

/**
 * Takes away what deletions have left: counters, rows, documents, parked jobs. Jobs that wait are
 * left to the workers, who see that they are of no more use. Every step can be done again, and a
 * deletion is listed until the last one is done, so a purge may die anywhere. What a slow process
 * may bring later is taken away by a second look. Returns how many rows and documents went.
 */
export async function purge(parts: Parts, now: Date): Promise<number> {
  const deletions = await parts.deletions.list(PURGE_DELETIONS_MAX, now);
  if (deletions.length === 0) return 0;
  let removed = await dropParked(parts);
  const away = new Map<string, unknown>();
  for (const deletion of deletions) {
    try {
      removed += await purgeData(parts, deletion);
      // What is away is asked once a run: each time could take as long as it is waited for.
      if (away.has("SEARCH_UNAVAILABLE")) continue;
      removed += await purgeIndex(parts, deletion);
      await conclude(parts, deletion, now);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      away.set(error.reason, error);
      if (error.reason !== "SEARCH_UNAVAILABLE") break;
    }
  }
  for (const error of away.values()) throw error;
  return removed;
}

async function purgeData(parts: Parts, deletion: Deletion): Promise<number> {
  const { counter } = deletion;
  if (isWhole(deletion)) {
    await parts.intake.remove(counter);
    await parts.deletions.confirm(counter);
    if (counter.chatNumber === undefined) await eraseChats(parts, deletion);
  }
  return untilNone(() => parts.deletions.removeRows(deletion, CHORE_ROWS_MAX));
}

function purgeIndex({ index }: Parts, { counter, throughNumber }: Deletion): Promise<number> {
  return untilNone(() => index.remove({ ...counter, throughNumber }));
}

/** After the second look nothing tells that it was deleted but the marks in the database. */
async function conclude(parts: Parts, deletion: Deletion, now: Date): Promise<void> {
  if (!deletion.again) {
    await parts.deletions.postpone(deletion, new Date(now.getTime() + PURGE_AGAIN_MS));
    return;
  }
  if (isWhole(deletion)) await parts.intake.erase([deletion.counter]);
  await parts.deletions.forget(deletion);
}

function isWhole({ throughNumber }: Deletion): boolean {
  return throughNumber === DELETED_ALL;
}

async function eraseChats(parts: Parts, { counter, lastChat }: Deletion): Promise<void> {
  const { applicationToken } = counter;
  for (let first = 1; first <= lastChat; first += CHORE_ROWS_MAX) {
    const length = Math.min(CHORE_ROWS_MAX, lastChat - first + 1);
    const chats = Array.from({ length }, (_, at) => ({ applicationToken, chatNumber: first + at }));
    await parts.intake.erase(chats);
  }
}

async function untilNone(step: () => Promise<number>): Promise<number> {
  let sum = 0;
  for (;;) {
    const removed = await step();
    if (removed === 0) return sum;
    sum += removed;
  }
}

/** Parked jobs would stay for ever: no worker looks at them again. */
function dropParked({ queue, deletions }: Parts): Promise<number> {
  return queue.dropParked(async (ids) => {
    const counters = new Map<string, { counter: Counter; numbers: number[]; ids: string[] }>();
    for (const id of ids) {
      const found = counterOfJobId(id);
      if (found === undefined) continue;
      const { counter, number } = found;
      const name = id.slice(0, id.lastIndexOf(":"));
      const group = counters.get(name) ?? { counter, numbers: [], ids: [] };
      group.numbers.push(number);
      group.ids.push(id);
      counters.set(name, group);
    }
    const dropped: string[] = [];
    for (const group of counters.values()) {
      const deleted = new Set(await deletions.listDeleted(group.counter, group.numbers));
      dropped.push(...group.ids.filter((_, at) => deleted.has(group.numbers[at]!)));
    }
    return dropped;
  });
}

/**
 * Deletes messages that are older than some days: in each chat in the order of their numbers, up to
 * one that is not. The purge takes away the rest of them. Returns how many.
 */
export async function expireMessages(
  { deletions }: Pick<Stack, "deletions">,
  { days, now }: { days: number; now: Date },
): Promise<number> {
  const before = new Date(now.getTime() - days * DAY_MS);
  const limit = CHORE_ROWS_MAX;
  let expired = 0;
  let after: string | undefined = "";
  while (after !== undefined) {
    const page = await deletions.findExpired({ after, before, limit });
    for (const chat of page.chats) {
      expired += await untilNone(() => deletions.expire(chat, { before, now, limit }));
    }
    after = page.next;
  }
  return expired;
}
