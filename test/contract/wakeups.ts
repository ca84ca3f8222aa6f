import { RedisWakeup } from "../../src/stacks/redis/wakeup.ts";
import { InProcessWakeup } from "../../src/stacks/sqlite/wakeup.ts";
import { freshServers } from "../support/servers.ts";
import type { WakeupHome } from "./wakeup.ts";

/** The embedded stack is one process, which has one object for its hints. */
export async function inProcessWakeups(): Promise<WakeupHome> {
  const wakeup = new InProcessWakeup();
  return { one: wakeup, other: wakeup, close: async () => {} };
}

export async function redisWakeups(): Promise<WakeupHome> {
  const { redisUrl: url, drop } = await freshServers();
  const [one, other] = [new RedisWakeup({ url }), new RedisWakeup({ url })];
  return {
    one,
    other,
    close: async () => {
      one.stop();
      other.stop();
      // What is told and heard after the end is nothing, and no error.
      one.tell([{ applicationToken: "gone", chatNumber: 1 }]);
      await drop();
    },
  };
}
