import type { ChatKey } from "./ports.ts";

// One of the ports, see ports.ts.

/**
 * Hints that something of a chat is new. They are never the truth itself: one that is lost, or told
 * for nothing, costs time and no more. So nothing here fails, and nobody waits for it.
 */
export interface Wakeup {
  /** Wakes whoever subscribed to one of these chats, in every process. */
  tell(keys: ChatKey[]): void;
  /** Calls `wake` for each hint of the chat until the function that it returns was called. */
  subscribe(key: ChatKey, wake: () => void): () => void;
}
