import type { NumberRange } from "../../gen/parley/v1/state.ts";
import type { Core } from "../core/core.ts";
import { CHORE_ROWS_MAX } from "../core/limits.ts";
import type { ChatKey, Counter, SearchDocument } from "../core/ports.ts";

/** What the chores need of a stack. */
type Parts = Pick<Core, "intake" | "store" | "ledger" | "index">;

/**
 * Copies the counters that changed into the rows, where their voids are taken off. Its cost grows
 * with what changed. A counter is forgotten only after its count is stored, so a sync that dies
 * loses none; one whose row is not written yet stays for the next sync, and so does one that
 * changes again meanwhile, so that a sync ends under load. Returns how many counts were copied.
 */
export async function syncCounts(parts: Parts, now: () => Date): Promise<number> {
  const told = new Set<string>();
  let copied = 0;
  for (;;) {
    const counters = await parts.intake.changed(CHORE_ROWS_MAX);
    if (counters.every((counter) => told.has(nameOf(counter)))) return copied;
    for (const counter of counters) told.add(nameOf(counter));
    const values = await parts.intake.counts(counters);
    const counts = counters.map((counter, at) => ({ counter, count: values[at] ?? 0 }));
    const missing = new Set((await parts.store.updateCounts(counts, now())).map(nameOf));
    const stored = counters.filter((counter) => !missing.has(nameOf(counter)));
    await parts.intake.forget(stored);
    copied += stored.length;
  }
}

function nameOf(counter: Counter): string {
  return `${counter.applicationToken}:${counter.chatNumber ?? ""}`;
}

/**
 * Gives the index what it lacks: all of it where the index is another one than before, and the gaps
 * that workers noted while it was away. Returns how many messages were indexed.
 */
export async function repairIndex(parts: Parts): Promise<number> {
  await parts.store.adoptIndex(await parts.index.identity());
  let indexed = 0;
  for (;;) {
    const gaps = await parts.store.listGaps(CHORE_ROWS_MAX);
    let closed = 0;
    for (const gap of gaps) {
      indexed += await indexRange(parts, gap, gap.range);
      if (await parts.store.closeGap(gap)) closed++;
    }
    // A gap that was noted anew meanwhile is left to the next run, so that this one ends.
    if (closed === 0 || gaps.length < CHORE_ROWS_MAX) return indexed;
  }
}

async function indexRange(parts: Parts, key: ChatKey, range: NumberRange): Promise<number> {
  const { applicationToken, chatNumber } = key;
  let indexed = 0;
  let after = range.firstNumber - 1;
  for (;;) {
    const page = {
      after,
      before: range.lastNumber + 1,
      order: "asc",
      limit: CHORE_ROWS_MAX,
    } as const;
    const rows = await parts.store.listMessages({ applicationToken, chatNumber }, page);
    if (rows.length === 0) return indexed;
    const documents: SearchDocument[] = rows.map((row) => ({ ...row, version: 1 }));
    const errors = await parts.index.index(documents);
    const error = errors.find((one) => one !== undefined);
    if (error !== undefined) throw error;
    indexed += rows.length;
    after = rows[rows.length - 1]!.number;
  }
}
