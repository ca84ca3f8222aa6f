import { z } from "zod";
import { CHORE_ROWS_MAX } from "../core/limits.ts";
import type { Position, StoredCounter } from "../core/upkeep.ts";
import { ADVICE, type Drift, findDrift, lookAgain } from "./drift.ts";
import { operation, type Parts } from "./operation.ts";

export const verifyCountsOperation = operation({
  name: "verify-counts",
  description: "compare every counter with its rows, voids and stored count",
  options: [
    { flags: "--mend", description: "store the right counts, and seed counters that are missing" },
  ],
  examples: ["verify-counts", "verify-counts --mend --json"],
  input: z.object({ mend: z.boolean().default(false) }),
  async run(parts, { mend }, output) {
    const sum = { counters: 0, drift: 0, mended: 0 };
    for await (const counters of pages(parts)) {
      sum.counters += counters.length;
      for (const drift of await findDrift(parts.stack, counters)) {
        const mended = mend && (await mendDrift(parts, drift));
        sum.drift++;
        if (mended) sum.mended++;
        output.item(itemOf(drift, mended), textOf(drift, mended));
      }
    }
    const { counters, drift, mended } = sum;
    const end = drift > 0 ? `, ${mended} mended` : "";
    output.sum(sum, `${counters} counters compared: ${drift} drift${end}`);
    if (mended < drift) output.failed();
  },
});

async function* pages({ stack, signal }: Parts): AsyncGenerator<StoredCounter[]> {
  for (let after: Position | undefined; ; ) {
    signal.throwIfAborted();
    const page = { limit: CHORE_ROWS_MAX };
    const counters = await stack.upkeep.listCounters(
      after === undefined ? page : { ...page, after },
    );
    yield counters;
    if (counters.length < CHORE_ROWS_MAX) return;
    after = counters[counters.length - 1]!.position;
  }
}

/** The counter itself is never set: it is seeded where it is missing, as at its next use. */
async function mendDrift({ stack, core }: Parts, found: Drift): Promise<boolean> {
  let drift: Drift | undefined = found;
  if (drift.kind === "missing") {
    await core.numbering.value(drift.counter);
    drift = await lookAgain(stack, drift);
  }
  if (drift === undefined) return true;
  if (drift.kind !== "count") return false;
  const { counter, stored: from, expected: to } = drift;
  // Where it is another one meanwhile a sync was here.
  if (await stack.upkeep.mendCount({ counter, from, to })) return true;
  return (await lookAgain(stack, drift)) === undefined;
}

function textOf(drift: Drift, mended: boolean): string {
  const { kind, counter, value, highestRow, voids, stored, expected } = drift;
  const chat = counter.chatNumber === undefined ? "" : ` chat ${counter.chatNumber}`;
  const end = mended ? "mended" : ADVICE[kind];
  return (
    `${kind} ${counter.applicationToken}${chat}: counter ${value ?? "missing"}, ` +
    `highest row ${highestRow}, voids ${voids}, stored ${stored}, expected ${expected}: ${end}`
  );
}

function itemOf(drift: Drift, mended: boolean): object {
  const { kind, counter, value, highestRow, voids, stored, expected } = drift;
  return {
    kind,
    applicationToken: counter.applicationToken,
    chatNumber: counter.chatNumber ?? null,
    counter: value ?? null,
    highestRow,
    voids,
    stored,
    expected,
    mended,
    advice: mended ? "" : ADVICE[kind],
  };
}
