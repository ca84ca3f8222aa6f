interface Waiting {
  weight: number;
  enter(): void;
}

/** Lets in what weighs so much together at a time, in the order in which it came. */
export class Gate {
  private readonly weightMax: number;
  private weight = 0;
  private readonly waiting = new Set<Waiting>();

  constructor(weightMax: number) {
    this.weightMax = weightMax;
  }

  /** Runs a step when there is room. One whose signal is aborted before that is never run. */
  async pass<T>(
    weight: number,
    signal: AbortSignal | undefined,
    step: () => Promise<T>,
  ): Promise<T> {
    if (this.waiting.size > 0 || !this.fits(weight)) await this.room(weight, signal);
    else this.weight += weight;
    try {
      return await step();
    } finally {
      this.weight -= weight;
      this.letIn();
    }
  }

  /** What is heavier than all that may be inside goes in alone. */
  private fits(weight: number): boolean {
    return this.weight === 0 || this.weight + weight <= this.weightMax;
  }

  private letIn(): void {
    for (const next of this.waiting) {
      if (!this.fits(next.weight)) return;
      this.waiting.delete(next);
      this.weight += next.weight;
      // In a turn of its own, so that many in a row leave turns to everybody else.
      setImmediate(next.enter);
    }
  }

  private async room(weight: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const leave = () => {
        // What was let in already goes on, and hears of it inside.
        if (!this.waiting.delete(one)) return;
        reject(signal?.reason);
        this.letIn();
      };
      const enter = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const one = { weight, enter };
      this.waiting.add(one);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }
}
