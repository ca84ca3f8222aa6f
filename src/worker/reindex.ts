import { setTimeout as sleep } from "node:timers/promises";
import type { Message } from "../../gen/parley/v1/message.ts";
import type { NumberRange } from "../../gen/parley/v1/state.ts";
import { BATCH_BYTES_MAX, CHORE_ROWS_MAX } from "../core/limits.ts";
import type { ChatKey, Stack } from "../core/ports.ts";
import type { Position, Rebuild } from "../core/upkeep.ts";

type Parts = Pick<Stack, "store" | "ledger" | "index" | "upkeep">;
type Gap = { range: NumberRange } & ChatKey;

/** Chats of a page, and looks at the index that are under way at once. */
const SPANS_MAX = 200;
const LOOKS_MAX = 8;

/** What was written a moment ago may show in the index only now. */
const SHOW_MS = 1_500;

export interface Reindexed {
  indexed: number;
  /** Messages that the new index refuses. */
  refused: number;
  /** Chats of which the new index lacked something; the repair chore gives it to it. */
  lacking: number;
}

/**
 * Builds the index anew from the rows, beside the one that is searched, and puts it in its place.
 * Rows that are read here were committed after every writer knew of the new index, or before; those
 * of the second kind are all read, those of the first kind are written to both.
 */
export async function reindex(
  parts: Parts,
  run: { signal: AbortSignal; progress(done: number, total: number): void },
): Promise<Reindexed> {
  const rebuild = await parts.index.rebuild();
  let filled: Omit<Reindexed, "lacking">;
  try {
    const filler = new Filler(parts, rebuild, await parts.upkeep.countMessages(), run);
    filled = await filler.fill();
    run.signal.throwIfAborted();
    await rebuild.finish();
  } catch (error) {
    // What cannot be taken away now is taken away by the next rebuild.
    await rebuild.abandon().catch(() => {});
    throw error;
  }
  const lacking = await check(parts);
  run.progress(filled.indexed, filled.indexed);
  return { ...filled, lacking };
}

/** Reads the rows chat by chat and writes them in chunks that may hold many chats. */
class Filler {
  private readonly parts: Parts;
  private readonly rebuild: Rebuild;
  private readonly total: number;
  private readonly run: { signal: AbortSignal; progress(done: number, total: number): void };
  private waiting: Message[] = [];
  private bytes = 0;
  private indexed = 0;
  private refused = 0;

  constructor(parts: Parts, rebuild: Rebuild, total: number, run: Filler["run"]) {
    this.parts = parts;
    this.rebuild = rebuild;
    this.total = total;
    this.run = run;
  }

  async fill(): Promise<{ indexed: number; refused: number }> {
    for await (const spans of pagesOfSpans(this.parts)) {
      for (const span of spans) await this.read(span, span.range);
    }
    await this.flush();
    return { indexed: this.indexed, refused: this.refused };
  }

  private async read({ applicationToken, chatNumber }: ChatKey, range: NumberRange) {
    const before = range.lastNumber + 1;
    for (let after = range.firstNumber - 1; ; ) {
      this.run.signal.throwIfAborted();
      const page = { after, before, order: "asc", limit: CHORE_ROWS_MAX } as const;
      const rows = await this.parts.store.listMessages({ applicationToken, chatNumber }, page);
      for (const row of rows) {
        this.waiting.push(row);
        this.bytes += Buffer.byteLength(row.body);
        const full = this.waiting.length === CHORE_ROWS_MAX || this.bytes > BATCH_BYTES_MAX;
        if (full) await this.flush();
      }
      if (rows.length < CHORE_ROWS_MAX) return;
      after = rows[rows.length - 1]!.number;
    }
  }

  private async flush(): Promise<void> {
    const rows = this.waiting;
    if (rows.length === 0) return;
    this.waiting = [];
    this.bytes = 0;
    const errors = await this.rebuild.index(rows);
    const refused = rows.filter((_, at) => errors[at] !== undefined);
    for (const { applicationToken, chatNumber, number } of refused) {
      const range = { firstNumber: number, lastNumber: number };
      await this.parts.store.noteGaps([{ applicationToken, chatNumber, range }]);
    }
    this.refused += refused.length;
    this.indexed += rows.length - refused.length;
    // The total comes from stored counts, which may be behind.
    this.run.progress(this.indexed, Math.max(this.total, this.indexed + 1));
  }
}

/**
 * Holds every chat against the index as it is searched now, twice where something seems to lack,
 * and notes a gap over a chat where something does. A number whose job is not applied yet is taken
 * for one that lacks, which costs a repair of its chat and no more.
 */
async function check(parts: Parts): Promise<number> {
  let count = 0;
  for await (const spans of pagesOfSpans(parts)) {
    let lacking = await findLacking(parts, spans);
    if (lacking.length > 0) {
      await sleep(SHOW_MS);
      lacking = await findLacking(parts, lacking);
    }
    if (lacking.length > 0) await parts.store.noteGaps(lacking);
    count += lacking.length;
  }
  return count;
}

async function findLacking(parts: Parts, spans: Gap[]): Promise<Gap[]> {
  const counters = spans.map((span) => {
    const { applicationToken, chatNumber, range } = span;
    return { counter: { applicationToken, chatNumber }, count: range.lastNumber };
  });
  const voids = await parts.ledger.countVoids(counters);
  const lacks: boolean[] = [];
  let next = 0;
  const look = async () => {
    while (next < spans.length) {
      const at = next++;
      const { lastNumber } = spans[at]!.range;
      const found = await parts.index.count(spans[at]!, { firstNumber: 1, lastNumber });
      lacks[at] = found + voids[at]! < lastNumber;
    }
  };
  await Promise.all(Array.from({ length: LOOKS_MAX }, look));
  return spans.filter((_, at) => lacks[at]);
}

async function* pagesOfSpans(parts: Parts) {
  for (let after: Position | undefined; ; ) {
    const page = after === undefined ? { limit: SPANS_MAX } : { after, limit: SPANS_MAX };
    const spans = await parts.upkeep.listSpans(page);
    // Messages whose application is gone are nobody's to find.
    yield spans.filter((span) => span.applicationToken !== "");
    if (spans.length < SPANS_MAX) return;
    after = spans[spans.length - 1]!.position;
  }
}
