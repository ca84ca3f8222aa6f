import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { pick } from "../support/random.ts";

/** Milliseconds in which somebody must have something to do. */
const IDLE_MAX = 5_000;

interface Step {
  owner: unknown;
  run(): Promise<void>;
}

/**
 * Lets steps of many at once happen one after the other, in an order drawn from a seed: so every
 * interleaving of atomic steps can come about, and comes again with its seed.
 */
export class Turns {
  private readonly random: () => number;
  private waiting: Step[] = [];

  constructor(random: () => number) {
    this.random = random;
  }

  /** The same port, each of whose methods is one step; some of them may be other methods. */
  wrap<T extends object>(owner: unknown, port: T, others: Partial<T> = {}): T {
    return new Proxy(port, {
      get: (target, name) => {
        const method = Reflect.get(others, name) ?? Reflect.get(target, name);
        if (typeof method !== "function") return method;
        return (...args: unknown[]) => this.step(owner, () => method.apply(target, args));
      },
    });
  }

  step<T>(owner: unknown, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ owner, run: () => work().then(resolve, reject) });
    });
  }

  /** As when a process dies: what it was about to do never happens. */
  drop(owner: unknown): void {
    this.waiting = this.waiting.filter((step) => step.owner !== owner);
  }

  /** One step, to its end, and what follows from it up to the next ones. */
  async next(): Promise<void> {
    // Some pause for a while, and have no step to do until then.
    for (let idle = 0; this.waiting.length === 0; idle++) {
      if (idle > IDLE_MAX) throw new Error("nobody has a step to do");
      await sleep(1);
    }
    const step = pick(this.random, this.waiting);
    this.waiting.splice(this.waiting.indexOf(step), 1);
    await step.run();
    await nextTurn();
  }

  /** Steps until a promise is settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const end = () => {
      settled = true;
    };
    promise.then(end, end);
    while (!settled) await this.next();
    return promise;
  }
}
