import type { Message } from "../../gen/parley/v1/message.ts";
import type { ChatKey } from "./ports.ts";

/** What an update gives a message; what is left out stays as it is. */
export type Content = Partial<Pick<Message, "body" | "attributes">>;

/** What became of a change to a message. */
export type Change =
  /**
   * The message as it is now. The index lacks it, and a gap that says so was noted with it; `gap`
   * is its version where it was noted for this change alone, so that who indexes it may close it.
   */
  | { kind: "changed"; message: Message; gap: number | undefined }
  /** It is there already: the same content, or a tombstone that was to be deleted. */
  | { kind: "unchanged"; message: Message }
  /** The message has another version than the one that it must have. */
  | { kind: "mismatch"; version: number }
  /** The message was deleted before. */
  | { kind: "tombstone" }
  /** The message, its chat or its application has no row. */
  | { kind: "missing" };

export interface ChangeStep {
  /** The version that the message must have, 0 for any. */
  ifVersion: number;
  now: Date;
}

/**
 * The part of the store that changes messages after they were stored. The changes of a chat are
 * numbered 1, 2, 3 ... in the order of their commits.
 */
export interface Changes {
  /** Changes the content of a message, in one transaction with all that follows from it. */
  updateMessage(key: ChatKey, number: number, content: Content, step: ChangeStep): Promise<Change>;
  /** Leaves a tombstone: neither body nor attributes, a `deleteTime`, and one more in the count. */
  deleteMessage(key: ChatKey, number: number, step: ChangeStep): Promise<Change>;
  /**
   * The messages as they are whose last change has a number above `after`, in the order of these
   * numbers, at most `limit`.
   */
  listChanges(
    key: ChatKey,
    page: { after: number; limit: number; signal?: AbortSignal },
  ): Promise<{ changeNumber: number; message: Message }[]>;
  /** The number of the chat's last change, 0 for none and where there is no such chat. */
  changeCount(key: ChatKey, signal?: AbortSignal): Promise<number>;
}
