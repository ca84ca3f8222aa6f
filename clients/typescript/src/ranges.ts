import type { NumberRange } from "../../../gen/parley/v1/state.ts";

/** A set of numbers, kept as ranges. */
export class Ranges {
  private ranges: NumberRange[] = [];

  constructor(ranges: readonly NumberRange[]) {
    for (const range of ranges) this.add(range);
  }

  has(number: number): boolean {
    return this.ranges.some((one) => one.firstNumber <= number && number <= one.lastNumber);
  }

  add(range: NumberRange): void {
    this.remove(range);
    this.ranges.push({ ...range });
    this.ranges.sort((a, b) => a.firstNumber - b.firstNumber);
  }

  remove({ firstNumber, lastNumber }: NumberRange): void {
    this.ranges = this.ranges
      .flatMap((one) => [
        { firstNumber: one.firstNumber, lastNumber: Math.min(one.lastNumber, firstNumber - 1) },
        { firstNumber: Math.max(one.firstNumber, lastNumber + 1), lastNumber: one.lastNumber },
      ])
      .filter((one) => one.firstNumber <= one.lastNumber);
  }

  /** A copy of them, lowest first. */
  list(): NumberRange[] {
    return this.ranges.map((one) => ({ ...one }));
  }

  copy(): Ranges {
    return new Ranges(this.ranges);
  }
}
