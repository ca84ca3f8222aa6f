import { CHORE_ROWS_MAX, RESEED_MAX } from "../core/limits.ts";
import type { Numbering } from "../core/numbering.ts";
import type { Ledger } from "../core/ports.ts";
import type { Position } from "../core/upkeep.ts";

/**
 * Seeds every counter in a new epoch, as its next use would: so that after a loss also counters
 * that nobody uses are there again, and their counts are right.
 */
export class Reseeding {
  private readonly ledger: Ledger;
  private readonly numbering: Numbering;
  /** In which every counter was asked for, so that it need not be looked through again. */
  private doneEpoch = 0;
  /** How far the epoch was looked through. A counter whose chat was lost is asked for once. */
  private reached: { epoch: number; after: Position | undefined } = { epoch: 0, after: undefined };

  constructor(parts: { ledger: Ledger; numbering: Numbering }) {
    this.ledger = parts.ledger;
    this.numbering = parts.numbering;
  }

  /** Seeds some of them and returns how many. */
  async run(): Promise<number> {
    const { epoch, pending } = await this.ledger.get();
    if (pending || epoch === 0 || epoch === this.doneEpoch) return 0;
    if (this.reached.epoch !== epoch) this.reached = { epoch, after: undefined };
    for (let seeded = 0; seeded < RESEED_MAX; ) {
      const counters = await this.ledger.listUnseeded(CHORE_ROWS_MAX, this.reached.after);
      if (counters.length === 0) {
        this.doneEpoch = epoch;
        return seeded;
      }
      for (const { position, ...counter } of counters) {
        await this.numbering.reseed(counter);
        this.reached.after = position;
      }
      seeded += counters.length;
    }
    return RESEED_MAX;
  }
}
