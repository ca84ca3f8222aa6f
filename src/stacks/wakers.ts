import type { ChatKey } from "../core/ports.ts";

/** Whom to wake in this process, by the name of their chat. */
export class Wakers {
  private readonly byName = new Map<string, Set<() => void>>();

  add(name: string, wake: () => void): () => void {
    // A function of its own, so that one that is added twice is taken away once.
    const own = () => wake();
    const wakers = this.byName.get(name) ?? new Set();
    this.byName.set(name, wakers.add(own));
    return () => {
      if (wakers.delete(own) && wakers.size === 0) this.byName.delete(name);
    };
  }

  wake(name: string): void {
    for (const wake of this.byName.get(name) ?? []) wake();
  }
}

/** How a hint names a chat. */
export function chatNameOf({ applicationToken, chatNumber }: ChatKey): string {
  return `${applicationToken}:${chatNumber}`;
}

/** The names of chats, each once: the messages of a batch are often of one. */
export function chatNamesOf(keys: ChatKey[]): string[] {
  return [...new Set(keys.map(chatNameOf))];
}
