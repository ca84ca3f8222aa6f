/** Calls that begin in one turn: about as many as one step of the intake takes. */
const TURN_CALLS_MAX = 32;

/**
 * Begins calls when everything is read that came in with them. One after the other they cost less
 * than each between what is read of others; and of a burst only some begin in each turn of the
 * event loop, so that callers are answered while the rest begins, and not all at once.
 */
export class Turns {
  private readonly waiting: (() => void)[] = [];

  /** `begin` is called soon, in the order in which they came. It must not throw. */
  add(begin: () => void): void {
    this.waiting.push(begin);
    if (this.waiting.length === 1) setImmediate(this.turn);
  }

  private readonly turn = (): void => {
    const now = this.waiting.slice(0, TURN_CALLS_MAX);
    for (const begin of now) begin();
    // Not before: who comes meanwhile would plan a second turn.
    this.waiting.splice(0, now.length);
    if (this.waiting.length > 0) setImmediate(this.turn);
  };
}
