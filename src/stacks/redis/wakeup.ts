import { Redis } from "ioredis";
import type { ChatKey } from "../../core/ports.ts";
import type { Wakeup } from "../../core/wakeup.ts";
import { chatNameOf, chatNamesOf, Wakers } from "../wakers.ts";
import { RedisConnection } from "./connection.ts";
import { WAKEUP_CHANNEL } from "./keys.ts";

const RETRY_MS = { first: 50, last: 2_000 };
const KEEP_ALIVE_MS = 10_000;
/** Chats of one hint, 50 bytes each. */
const CHATS_MAX = 1_000;

/**
 * Hints by Redis's publish and subscribe. All go over one channel, and a process that watches
 * nothing does not listen to it: a worker publishes once for a batch, whatever chats are in it, and
 * who watches picks its own out of a few kilobytes. Channels are those of a whole Redis, not of one
 * of its databases, which is harmless: a hint of another database names no chat of this one.
 */
export class RedisWakeup implements Wakeup {
  private readonly url: string;
  private readonly wakers = new Wakers();
  private readonly publishing: RedisConnection;
  private listener: Redis | undefined;
  private stopped = false;

  constructor({ url }: { url: string }) {
    this.url = url;
    this.publishing = new RedisConnection(url);
  }

  tell(keys: ChatKey[]): void {
    if (this.stopped) return;
    const names = chatNamesOf(keys);
    for (let at = 0; at < names.length; at += CHATS_MAX) {
      const text = names.slice(at, at + CHATS_MAX).join(" ");
      this.publishing.use((redis) => redis.publish(WAKEUP_CHANNEL, text)).catch(() => {});
    }
  }

  subscribe(key: ChatKey, wake: () => void): () => void {
    if (!this.stopped) this.listener ??= this.listen();
    return this.wakers.add(chatNameOf(key), wake);
  }

  stop(): void {
    this.stopped = true;
    this.publishing.stop();
    this.listener?.disconnect();
  }

  /** ioredis connects again, and subscribes again, for as long as it takes. */
  private listen(): Redis {
    const redis = new Redis(this.url, {
      retryStrategy: (times) => Math.min(RETRY_MS.first * 2 ** (times - 1), RETRY_MS.last),
      maxRetriesPerRequest: null,
      keepAlive: KEEP_ALIVE_MS,
      enableReadyCheck: false,
      protocol: 2,
      disableClientInfo: true,
    });
    // What is missed while Redis is away is found by those who look by themselves.
    redis.on("error", () => {});
    redis.on("message", (_, text: string) => {
      for (const name of text.split(" ")) this.wakers.wake(name);
    });
    redis.subscribe(WAKEUP_CHANNEL).catch(() => {});
    return redis;
  }
}
