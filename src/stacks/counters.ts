import { hash } from "node:crypto";
import type { Counter } from "../core/ports.ts";

/** `APP-<token>` or `APP-<token>-<chat number>`: users read these names, they may not drift. */
export function counterKeyOf({ applicationToken, chatNumber }: Counter): string {
  const application = `APP-${applicationToken}`;
  return chatNumber === undefined ? application : `${application}-${chatNumber}`;
}

/** The counter of a key that counterKeyOf made. */
export function counterOfKey(key: string): Counter {
  const parts = /^APP-([0-9a-f-]{36})(?:-(\d+))?$/.exec(key);
  if (parts === null) throw new Error(`${key} is no name of a counter`);
  const applicationToken = parts[1]!;
  return parts[2] === undefined
    ? { applicationToken }
    : { applicationToken, chatNumber: Number(parts[2]) };
}

/**
 * Stands for a request id and its parent, as 32 hex digits: what is kept are the 16 bytes that they
 * say, half the memory, and no collision to fear.
 */
export function requestHashOf(counterKey: string, requestId: string): string {
  return hash("sha256", `${counterKey} ${requestId}`).slice(0, 32);
}

/** A sync tells and forgets a page at a time; far more than this was told and never forgotten. */
const TOLD_MAX = 100_000;

/**
 * Remembers which change of a counter was told, so that `forget` takes back that change and no
 * later one. Where two syncs overlap the earlier change is kept: then a counter is told once more
 * than it need be, never once too few.
 */
export class Told {
  private readonly changes = new Map<string, string>();

  note(counterKey: string, change: string): void {
    if (this.changes.size >= TOLD_MAX) this.changes.clear();
    if (!this.changes.has(counterKey)) this.changes.set(counterKey, change);
  }

  /** The change that was told, once. */
  take(counterKey: string): string | undefined {
    const change = this.changes.get(counterKey);
    this.changes.delete(counterKey);
    return change;
  }
}
