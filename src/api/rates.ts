import { LRUCache } from "lru-cache";

/** Buckets of applications that exist, and of tokens of which that is not known for a moment. */
const KNOWN_MAX = 100_000;
const UNKNOWN_MAX = 1_000;

/**
 * A token bucket for each name. A bucket is one number: when it will be full again. So one that is
 * not there is a full one, and forgetting one that is full changes nothing.
 *
 * Names that callers make up must not push out the buckets of real applications, which would give
 * these a full bucket each time. So a name is kept among the unknown until a call proved it, and
 * the known are pushed out by the known alone.
 */
export class Rates {
  private readonly callMs: number;
  private readonly burst: number;
  private readonly known = new LRUCache<string, number>({ max: KNOWN_MAX });
  private readonly unknown = new LRUCache<string, number>({ max: UNKNOWN_MAX });

  constructor(options: { callsPerSecond: number; burst: number }) {
    this.callMs = 1_000 / options.callsPerSecond;
    this.burst = options.burst;
  }

  /** Takes a call out of the bucket and says 0, or else for how many milliseconds it is empty. */
  take(name: string, nowMs: number): number {
    const proved = this.known.get(name);
    const fullMs = Math.max(nowMs, proved ?? this.unknown.get(name) ?? 0) + this.callMs;
    const overMs = fullMs - nowMs - this.burst * this.callMs;
    // A fraction of a millisecond is what adding up fractions makes.
    if (overMs > 0.001) return overMs;
    (proved === undefined ? this.unknown : this.known).set(name, fullMs);
    return 0;
  }

  /** The name is no made-up one. */
  prove(name: string): void {
    if (this.known.has(name)) return;
    this.known.set(name, this.unknown.get(name) ?? 0);
    this.unknown.delete(name);
  }
}
