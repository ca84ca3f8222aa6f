/** Bounds of a batch; whichever is reached first closes it. */
export interface BatchBounds {
  count: number;
  bytes: number;
  /** How many batches are in work at a time. */
  lanes: number;
}

interface Waiting<T> {
  item: T;
  bytes: number;
  done(): void;
  failed(error: Error): void;
}

/**
 * Gathers items into batches. While a lane is free a batch starts at once, with what came in the
 * same turn of the event loop; while all are busy the next ones grow up to the bounds. So a lone
 * item never waits for company, and under load the batches are as large as they may be.
 */
export class Batcher<T> {
  private readonly bounds: BatchBounds;
  private readonly run: (items: T[]) => Promise<(Error | undefined)[]>;
  private waiting: Waiting<T>[] = [];
  private busy = 0;
  private scheduled = false;

  /** `run` answers for each item, in order: an error where it failed on its own. */
  constructor(bounds: BatchBounds, run: (items: T[]) => Promise<(Error | undefined)[]>) {
    this.bounds = bounds;
    this.run = run;
  }

  /** Resolves when the item's batch has done it, rejects when the item failed. */
  add(item: T, bytes: number): Promise<void> {
    return new Promise((done, failed) => {
      this.waiting.push({ item, bytes, done, failed });
      this.schedule();
    });
  }

  private schedule(): void {
    if (this.scheduled || this.busy >= this.bounds.lanes) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      while (this.busy < this.bounds.lanes && this.waiting.length > 0) this.start(this.take());
    });
  }

  private take(): Waiting<T>[] {
    let bytes = 0;
    let end = 0;
    while (end < this.waiting.length && end < this.bounds.count) {
      bytes += this.waiting[end]!.bytes;
      if (end > 0 && bytes > this.bounds.bytes) break;
      end++;
    }
    return this.waiting.splice(0, end);
  }

  private start(batch: Waiting<T>[]): void {
    this.busy++;
    this.run(batch.map((one) => one.item))
      .then(
        (errors) => {
          batch.forEach((one, at) => {
            const error = errors[at];
            if (error === undefined) one.done();
            else one.failed(error);
          });
        },
        (error: Error) => {
          for (const one of batch) one.failed(error);
        },
      )
      .finally(() => {
        this.busy--;
        if (this.waiting.length > 0) this.schedule();
      });
  }
}
