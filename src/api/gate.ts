/** Lets so many in at a time, in the order in which they came. */
export class Gate {
  private readonly max: number;
  private inside = 0;
  private readonly waiting = new Set<() => void>();

  constructor(max: number) {
    this.max = max;
  }

  /** Runs a step when there is room. One whose signal is aborted meanwhile is never run. */
  async pass<T>(signal: AbortSignal, step: () => Promise<T>): Promise<T> {
    if (this.inside < this.max) this.inside++;
    else await this.room(signal);
    try {
      return await step();
    } finally {
      const [next] = this.waiting;
      if (next === undefined) this.inside--;
      else {
        this.waiting.delete(next);
        // In a turn of its own, so that many in a row leave turns to everybody else.
        setImmediate(next);
      }
    }
  }

  /** The place of one who leaves is handed on, so that nobody who comes later takes it. */
  private async room(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        // Who has been let in already goes on, and hears of it inside.
        if (this.waiting.delete(enter)) reject(signal.reason);
      };
      this.waiting.add(enter);
      signal.addEventListener("abort", leave, { once: true });
    });
  }
}
