/** Lets a few pass at a time; the others wait for their turn, and too many are turned away. */
export class Gate {
  private readonly bounds: { places: number; waiters: number };
  private readonly turnAway: () => Error;
  private inside = 0;
  private readonly waiting: (() => void)[] = [];

  /** `turnAway` makes the error of whoever comes when `waiters` wait already. */
  constructor(bounds: { places: number; waiters: number }, turnAway: () => Error) {
    this.bounds = bounds;
    this.turnAway = turnAway;
  }

  async through<T>(work: () => Promise<T>): Promise<T> {
    if (this.inside >= this.bounds.places) {
      if (this.waiting.length >= this.bounds.waiters) throw this.turnAway();
      // Whoever leaves hands its place on, so `inside` stays as it is.
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    } else this.inside++;
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.inside--;
      else next();
    }
  }
}
