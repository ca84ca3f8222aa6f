import type { NumberRange } from "../../gen/parley/v1/state.ts";
import type { Core } from "../core/core.ts";
import { CHORE_ROWS_MAX } from "../core/limits.ts";
import type { ChatKey, Counter } from "../core/ports.ts";
import type { Position } from "../core/upkeep.ts";

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
    const all = counters.map((counter, at) => ({ counter, count: values[at] ?? 0 }));
    // One that holds what is no number stays as it is until that was taken away.
    const counts = all.filter(({ count }) => !Number.isNaN(count));
    const missing = new Set((await parts.store.updateCounts(counts, now())).map(nameOf));
    const stored = counts.flatMap(({ counter }) => (missing.has(nameOf(counter)) ? [] : counter));
    await parts.intake.forget(stored);
    copied += stored.length;
  }
}

function nameOf(counter: Counter): string {
  return `${counter.applicationToken}:${counter.chatNumber ?? ""}`;
}

/** A message that the index refuses. */
export interface Refused extends ChatKey {
  number: number;
  err: Error;
}

/** How many of the refused messages are told of; all of them stay noted. */
const REFUSED_TOLD_MAX = 10;

/**
 * Gives the index what it lacks: all of it where the index is another one than before, and the gaps
 * that workers noted while it was away. One walk over the gaps: what is noted anew meanwhile is
 * left to the next run. A gap with a message that the index refuses is narrowed to what is refused,
 * and stands in no other's way. Says how many messages were indexed, and some that were refused.
 */
export async function repairIndex(parts: Parts): Promise<{ indexed: number; refused: Refused[] }> {
  await parts.store.adoptIndex(await parts.index.identity());
  let indexed = 0;
  const refused: Refused[] = [];
  for (let after: Position | undefined; ; ) {
    const gaps = await parts.store.listGaps(CHORE_ROWS_MAX, after);
    for (const gap of gaps) {
      const filled = await indexRange(parts, gap, gap.range);
      indexed += filled.indexed;
      refused.push(...filled.refused.slice(0, REFUSED_TOLD_MAX - refused.length));
      const { left } = filled;
      await parts.store.closeGap(left === undefined ? gap : { ...gap, left });
    }
    if (gaps.length < CHORE_ROWS_MAX) return { indexed, refused };
    after = gaps[gaps.length - 1]!.position;
  }
}

interface Filled {
  indexed: number;
  refused: Refused[];
  /** From the lowest to the highest number that was refused. */
  left: NumberRange | undefined;
}

async function indexRange(parts: Parts, key: ChatKey, range: NumberRange): Promise<Filled> {
  const { applicationToken, chatNumber } = key;
  const filled: Filled = { indexed: 0, refused: [], left: undefined };
  let after = range.firstNumber - 1;
  for (;;) {
    const page = {
      after,
      before: range.lastNumber + 1,
      order: "asc",
      limit: CHORE_ROWS_MAX,
    } as const;
    const rows = await parts.store.listMessages({ applicationToken, chatNumber }, page);
    if (rows.length === 0) return filled;
    const errors = await parts.index.index(rows);
    errors.forEach((err, at) => {
      if (err === undefined) {
        filled.indexed++;
        return;
      }
      const { number } = rows[at]!;
      filled.left = { firstNumber: filled.left?.firstNumber ?? number, lastNumber: number };
      if (filled.refused.length === REFUSED_TOLD_MAX) return;
      filled.refused.push({ applicationToken, chatNumber, number, err });
    });
    after = rows[rows.length - 1]!.number;
  }
}
