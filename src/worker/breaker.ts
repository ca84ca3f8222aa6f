const OPEN_FIRST_MS = 500;
const OPEN_LAST_MS = 15_000;

/** Keeps calls away from a part that has just failed, for a pause that doubles up to a bound. */
export class Breaker {
  private pauseMs = 0;
  private untilMs = 0;

  /** True while the part is left alone. */
  open(nowMs: number): boolean {
    return nowMs < this.untilMs;
  }

  failed(nowMs: number): void {
    this.pauseMs = Math.min(Math.max(this.pauseMs * 2, OPEN_FIRST_MS), OPEN_LAST_MS);
    this.untilMs = nowMs + this.pauseMs;
  }

  succeeded(): void {
    this.pauseMs = 0;
    this.untilMs = 0;
  }
}
