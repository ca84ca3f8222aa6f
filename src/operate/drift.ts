import { jobIdOf } from "../core/jobs.ts";
import type { Counter, Stack } from "../core/ports.ts";
import type { Position, StoredCounter } from "../core/upkeep.ts";

/**
 * What is wrong with a counter:
 * - `count`: the stored count is not the counter less its voids, and no sync is due that mends it;
 * - `missing`: the counter is not there, though it gave numbers;
 * - `behind`: the counter is lower than a row or a job, so its home is an older copy;
 * - `rows`: its last number is neither row nor job nor void, so the database is an older copy.
 */
export type DriftKind = "count" | "missing" | "behind" | "rows";

export interface Drift {
  kind: DriftKind;
  position: Position;
  counter: Counter;
  value: number | undefined;
  highestRow: number;
  voids: number;
  stored: number;
  /** What the stored count should be. */
  expected: number;
}

export const ADVICE: Record<DriftKind, string> = {
  count: "verify-counts --mend stores the right count",
  missing: "it is seeded at its next use, or by verify-counts --mend",
  behind:
    "Redis or intake.db came back as an older copy: say epoch new, unless you just did; then it " +
    "is set right at its next use",
  rows: "the database came back as an older copy, or rows were deleted: restore a newer one",
};

type Parts = Pick<Stack, "intake" | "ledger" | "store" | "upkeep">;

/** What is read at different moments may disagree under traffic: then it is read again. */
const LOOKS_MAX = 3;

/** Counters of a sample. */
const SAMPLE = 500;

/** The drift among some counters, drawn anew each time, and how many were looked at. */
export async function sampleDrift(parts: Parts): Promise<{ looked: number; drifts: Drift[] }> {
  const { upkeep } = parts;
  const after = await upkeep.drawPosition();
  const counters = await upkeep.listCounters({ after, limit: SAMPLE });
  if (counters.length < SAMPLE) {
    const first = await upkeep.listCounters({ limit: SAMPLE - counters.length });
    const seen = new Set(counters.map((one) => one.position.join()));
    counters.push(...first.filter((one) => !seen.has(one.position.join())));
  }
  return { looked: counters.length, drifts: await findDrift(parts, counters) };
}

/** The counters among these that are wrong at each of some looks. */
export async function findDrift(parts: Parts, counters: StoredCounter[]): Promise<Drift[]> {
  const drifts: Drift[] = [];
  for (const suspect of await compare(parts, counters)) {
    const drift = await lookAgain(parts, suspect);
    if (drift !== undefined) drifts.push(drift);
  }
  return drifts;
}

/** The drift of one counter as it is now; undefined where there is none. */
export async function lookAgain(parts: Parts, { position }: Drift): Promise<Drift | undefined> {
  const [application, chat] = position;
  let drift: Drift | undefined;
  for (let look = 1; look < LOOKS_MAX; look++) {
    const page = { after: [application, chat - 1] as const, limit: 1 };
    const counters = await parts.upkeep.listCounters(page);
    if (counters[0]?.position.join() !== position.join()) return undefined;
    [drift] = await compare(parts, counters);
    if (drift === undefined) return undefined;
  }
  return drift;
}

/** In this order: rows, counters, jobs. A number is in the counter before it is in the others. */
async function compare(parts: Parts, counters: StoredCounter[]): Promise<Drift[]> {
  const keys = counters.map((one) => one.counter);
  const counts = await readCounts(parts, keys);
  const changed = await parts.intake.areChanged(keys);
  const jobs = await parts.intake.find(
    counts.flatMap(({ counter, value = 0 }) => [
      jobIdOf({ ...keyOf(counter), number: value }),
      jobIdOf({ ...keyOf(counter), number: value + 1 }),
    ]),
  );
  const drifts: Drift[] = [];
  for (const [at, one] of counters.entries()) {
    const seen = { ...one, ...counts[at]!, changed: changed[at]! };
    const job = { last: jobs[2 * at] !== undefined, next: jobs[2 * at + 1] !== undefined };
    const kind = await kindOf(parts, seen, job);
    if (kind === undefined) continue;
    const { position, counter, value, highestRow, voids, stored, count: expected } = seen;
    drifts.push({ kind, position, counter, value, highestRow, voids, stored, expected });
  }
  return drifts;
}

/** What a counter says, and the count that belongs into its row. */
interface Counted {
  counter: Counter;
  /** The highest number that was given; undefined where the intake lacks the counter. */
  value: number | undefined;
  voids: number;
  count: number;
}

async function readCounts(parts: Parts, counters: Counter[]): Promise<Counted[]> {
  const found = await parts.intake.counts(counters);
  // What is no number is as if it were not there.
  const values = found.map((value) => (Number.isNaN(value) ? undefined : value));
  const given = counters.map((counter, at) => ({ counter, count: values[at] ?? 0 }));
  const voids = await parts.ledger.countVoids(given);
  return given.map(({ counter, count }, at) => {
    return { counter, value: values[at], voids: voids[at]!, count: count - voids[at]! };
  });
}

type Seen = StoredCounter & Counted & { changed: boolean };

async function kindOf(
  parts: Parts,
  seen: Seen,
  job: { last: boolean; next: boolean },
): Promise<DriftKind | undefined> {
  const { counter, value, highestRow, stored, count, changed } = seen;
  if (value === undefined) return highestRow > 0 || stored > 0 ? "missing" : undefined;
  if (value < highestRow) return "behind";
  if (job.next) {
    // Unless it was accepted a moment ago.
    const [now] = await parts.intake.counts([counter]);
    if (now === value) return "behind";
  }
  if (value > highestRow && !job.last && !(await isThere(parts, counter, value))) return "rows";
  // A sync raises a count, and never lowers one.
  if (stored !== count && !(changed && stored < count)) return "count";
  return undefined;
}

/** Whether a number that has no job is a row or a void. */
async function isThere(parts: Parts, counter: Counter, number: number): Promise<boolean> {
  const { applicationToken, chatNumber } = counter;
  const row =
    chatNumber === undefined
      ? await parts.store.findChat({ applicationToken, chatNumber: number })
      : (await parts.store.findMessages({ applicationToken, chatNumber }, [number]))[0];
  if (row !== undefined) return true;
  const range = { firstNumber: number, lastNumber: number };
  return (await parts.ledger.listVoids(counter, range, 1)).length > 0;
}

function keyOf({ applicationToken, chatNumber }: Counter) {
  return chatNumber === undefined ? { applicationToken } : { applicationToken, chatNumber };
}
