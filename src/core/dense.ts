import type { NumberRange } from "../../gen/parley/v1/state.ts";
import { isUnavailable, ParleyError } from "../errors.ts";
import type { Call, Core } from "./core.ts";
import { findJobs } from "./deletion.ts";
import type { Job } from "./jobs.ts";
import { PAGE_BYTES_MAX, VOID_CHUNKS_MAX, VOID_JOBS_MAX, VOID_RANGES_MAX } from "./limits.ts";
import type { Counter, NumberPage } from "./ports.ts";

/** A numbered noun: chats within an application, or messages within a chat. */
interface Numbered {
  number: number;
}

/** How the numbers of one counter are read. */
export interface Source<T extends Numbered> {
  counter: Counter;
  rows(page: NumberPage): Promise<T[]>;
  fromJob(job: Job, parked: boolean): T;
  /** About how many bytes it takes in an answer. */
  bytesOf(item: T): number;
}

export interface DensePage<T> {
  items: T[];
  voids: NumberRange[];
  /** Where the next page begins: after this number, or before it where the order is "desc". */
  next: number | undefined;
}

/** Notes the jobs that there are for numbers, and returns the numbers that have none. */
async function noteJobs<T extends Numbered>(
  core: Core,
  source: Source<T>,
  found: Map<number, T>,
  numbers: number[],
): Promise<number[]> {
  if (numbers.length === 0) return [];
  const jobs = await findJobs(core, source.counter, numbers);
  return numbers.filter((number, at) => {
    const job = jobs[at];
    if (job !== undefined) found.set(number, source.fromJob(job.job, job.parked));
    return job === undefined;
  });
}

/** Between a look at the rows and one at the jobs, jobs become rows; never the other way. */
async function fillIn<T extends Numbered>(
  core: Core,
  source: Source<T>,
  found: Map<number, T>,
  numbers: number[],
  signal: AbortSignal,
): Promise<void> {
  const missing = await noteJobs(core, source, found, numbers);
  if (missing.length === 0) return;
  const after = Math.min(...missing) - 1;
  const before = Math.max(...missing) + 1;
  const limit = before - after - 1;
  for (const row of await source.rows({ after, before, order: "asc", limit, signal })) {
    found.set(row.number, row);
  }
}

/** The highest number that was given; undefined where that cannot be said without the intake. */
async function lastGiven(
  core: Core,
  counter: Counter,
  seen: Promise<number | undefined>,
): Promise<number | undefined> {
  try {
    // A counter that the intake lacks is seeded, where it is asked for in earnest.
    const count = (await seen) ?? (await core.numbering.value(counter)) ?? 0;
    return Number.isNaN(count) ? undefined : count;
  } catch (error) {
    // Reads go on from the rows while the intake is away.
    if (isUnavailable(error)) return undefined;
    throw error;
  }
}

/** The counter's value beside something else that is asked; most often nobody will need it. */
function lookAhead(core: Core, counter: Counter): Promise<number | undefined> {
  const seen = core.intake.counts([counter]).then(([count]) => count);
  seen.catch(() => {});
  return seen;
}

/**
 * A page of a counter's numbers as a caller must see them: rows, jobs that are not applied yet, and
 * voids, without a hole. Where a number is neither, which is so for moments only, an ascending page
 * ends before it, so that who reads on from the last number misses nothing; a descending page
 * leaves it out. A page that is all rows costs one query, and beside it a look at the counter.
 */
export async function densePage<T extends Numbered>(
  core: Core,
  source: Source<T>,
  page: NumberPage,
  call: Call,
): Promise<DensePage<T>> {
  const { signal } = call;
  const seen = lookAhead(core, source.counter);
  const rows = await source.rows({ ...page, limit: page.limit + 1, signal });
  if (isDense(rows, page)) return cut(source, rows, [], page);

  const last = await lastGiven(core, source.counter, seen);
  const first = page.after + 1;
  const highest = Math.max(last ?? 0, ...rows.map((row) => row.number));
  const top = Math.min(page.before - 1, highest);
  if (top < first) return { items: [], voids: [], next: undefined };
  // Neither a job nor a void can be where every number has its row.
  const ends = { ...page, before: top + 1 };
  if (isDense(rows, ends) || isWhole(rows, ends)) return cut(source, rows, [], page);

  const range = { firstNumber: first, lastNumber: top };
  const found = new Map(rows.map((row) => [row.number, row]));
  const voids = await findVoids(core, source, range, { page, last, found });
  const numbers = candidates(range, voids, page);
  const missing = numbers.filter((number) => !found.has(number));
  if (last !== undefined) await fillIn(core, source, found, missing, signal);

  const items: T[] = [];
  for (const number of numbers) {
    const item = found.get(number);
    if (item !== undefined) items.push(item);
    else if (page.order === "asc") {
      const before = voids.filter((range) => range.lastNumber < number);
      const ended = cut(source, items, before, page);
      if (last !== undefined) return ended;
      // Without the intake nobody can say whether this is the end, so it must not look like it.
      if (items.length === 0) throw new ParleyError("COUNTERS_UNAVAILABLE", "jobs cannot be read");
      return { ...ended, next: items[items.length - 1]!.number };
    }
  }
  return cut(source, items, voids, page);
}

/**
 * The voids of a range. A number can be void and given all the same, where two processes seeded its
 * counter; then its job wins, as its row will. Jobs are looked for between two looks at the voids,
 * since what becomes a row in between is no void any more.
 */
async function findVoids<T extends Numbered>(
  core: Core,
  source: Source<T>,
  range: NumberRange,
  seen: { page: NumberPage; last: number | undefined; found: Map<number, T> },
): Promise<NumberRange[]> {
  const list = () => core.ledger.listVoids(source.counter, range, VOID_RANGES_MAX);
  const voids = await list();
  if (voids.length === 0 || seen.last === undefined) return voids;
  if ((await core.intake.backlog()).jobs === 0) return list();
  const given: number[] = [];
  for (const numbers of chunksOf(fromSideOf(seen.page, voids))) {
    const jobless = new Set(await noteJobs(core, source, seen.found, numbers));
    given.push(...numbers.filter((number) => !jobless.has(number)));
    if (given.length > seen.page.limit) break;
  }
  return given.reduce(without, await list());
}

/** The first numbers of ranges, some at a time. */
function* chunksOf(ranges: NumberRange[]): Generator<number[]> {
  let numbers: number[] = [];
  let chunks = 0;
  for (const { firstNumber, lastNumber } of ranges) {
    for (let number = firstNumber; number <= lastNumber; number++) {
      numbers.push(number);
      if (numbers.length < VOID_JOBS_MAX) continue;
      yield numbers;
      numbers = [];
      if (++chunks === VOID_CHUNKS_MAX) return;
    }
  }
  if (numbers.length > 0) yield numbers;
}

/** Ranges in the order in which a page comes upon them. */
function fromSideOf(page: NumberPage, ranges: NumberRange[]): NumberRange[] {
  return page.order === "asc" ? ranges : ranges.toReversed();
}

/** True where a number was skipped or dropped. */
export async function isVoid(core: Core, counter: Counter, number: number): Promise<boolean> {
  const range = { firstNumber: number, lastNumber: number };
  return (await core.ledger.listVoids(counter, range, 1)).length > 0;
}

/** Ranges less one number. */
function without(ranges: NumberRange[], number: number): NumberRange[] {
  return ranges.flatMap((range) => {
    if (number < range.firstNumber || number > range.lastNumber) return [range];
    const parts = [
      { firstNumber: range.firstNumber, lastNumber: number - 1 },
      { firstNumber: number + 1, lastNumber: range.lastNumber },
    ];
    return parts.filter((part) => part.firstNumber <= part.lastNumber);
  });
}

/** True where nothing but rows can be on the page, so that nothing else needs to be asked. */
function isDense(rows: Numbered[], page: NumberPage): boolean {
  if (rows.length <= page.limit) return false;
  const [one, other] = [rows[0]!.number, rows[rows.length - 1]!.number];
  if (page.order === "asc") return one === page.after + 1 && other - one === page.limit;
  return one === page.before - 1 && one - other === page.limit;
}

/** True where the rows have every number within the bounds. */
function isWhole(rows: Numbered[], { after, before }: NumberPage): boolean {
  return rows.length === before - after - 1;
}

/** The numbers of the range that are not void, from its side, one more than the page holds. */
function candidates(range: NumberRange, voids: NumberRange[], page: NumberPage): number[] {
  const numbers: number[] = [];
  const up = page.order === "asc";
  const skips = fromSideOf(page, voids);
  let number = up ? range.firstNumber : range.lastNumber;
  let at = 0;
  while (
    number >= range.firstNumber &&
    number <= range.lastNumber &&
    numbers.length <= page.limit
  ) {
    const skip = skips[at];
    if (skip !== undefined && number >= skip.firstNumber && number <= skip.lastNumber) {
      number = up ? skip.lastNumber + 1 : skip.firstNumber - 1;
      at++;
    } else {
      numbers.push(number);
      number += up ? 1 : -1;
    }
  }
  return numbers;
}

/**
 * Keeps what fits the page, in number and in bytes, and the voids that lie between its numbers or
 * at its open end.
 */
function cut<T extends Numbered>(
  source: Source<T>,
  items: T[],
  voids: NumberRange[],
  page: NumberPage,
): DensePage<T> {
  let bytes = 0;
  const over = items.findIndex((item, at) => {
    bytes += source.bytesOf(item);
    return at >= page.limit || (at > 0 && bytes > PAGE_BYTES_MAX);
  });
  if (over < 0) return { items, voids, next: undefined };
  const kept = items.slice(0, over);
  const next = kept[kept.length - 1]!.number;
  const within = voids.filter((range) =>
    page.order === "asc" ? range.lastNumber < next : range.firstNumber > next,
  );
  return { items: kept, voids: within, next };
}
