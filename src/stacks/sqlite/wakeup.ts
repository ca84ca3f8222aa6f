import type { ChatKey } from "../../core/ports.ts";
import type { Wakeup } from "../../core/wakeup.ts";
import { chatNameOf, chatNamesOf, Wakers } from "../wakers.ts";

/** Hints within this process, which is the only one on its data folder. */
export class InProcessWakeup implements Wakeup {
  private readonly wakers = new Wakers();

  tell(keys: ChatKey[]): void {
    for (const name of chatNamesOf(keys)) this.wakers.wake(name);
  }

  subscribe(key: ChatKey, wake: () => void): () => void {
    return this.wakers.add(chatNameOf(key), wake);
  }
}
