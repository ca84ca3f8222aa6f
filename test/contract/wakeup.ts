import { randomUUID } from "node:crypto";
import { expect } from "chai";
import type { Wakeup } from "../../src/core/wakeup.ts";

/** Two processes that wake one another. */
export interface WakeupHome {
  one: Wakeup;
  other: Wakeup;
  close(): Promise<void>;
}

/** What every Wakeup does. `fresh` makes an empty home; `missing` says why there is none. */
export function wakeupContract(
  name: string,
  fresh: () => Promise<WakeupHome>,
  missing?: string,
): void {
  const suite = missing === undefined ? describe : describe.skip;
  suite(`wakeup: ${name}`, () => {
    let home: WakeupHome;
    const applicationToken = randomUUID();
    const chat = (chatNumber: number) => ({ applicationToken, chatNumber });
    beforeEach(async () => {
      home = await fresh();
    });
    afterEach(() => home?.close());

    /** Tells again until it is heard: hints may be lost, above all before all is connected. */
    async function tellUntil(
      wakeup: Wakeup,
      keys: ReturnType<typeof chat>[],
      heard: () => boolean,
    ) {
      while (!heard()) {
        wakeup.tell(keys);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }

    it("wakes those who subscribed to a chat, in every process, and no others", async () => {
      const woken = [0, 0, 0, 0];
      const wake = (at: number) => () => {
        woken[at]!++;
      };
      home.one.subscribe(chat(1), wake(0));
      home.other.subscribe(chat(1), wake(1));
      home.other.subscribe(chat(11), wake(2));
      home.other.subscribe({ ...chat(1), applicationToken: randomUUID() }, wake(3));
      await tellUntil(home.one, [chat(1)], () => woken[0]! > 0 && woken[1]! > 0);
      expect(woken.slice(2)).to.deep.equal([0, 0]);
    });

    it("wakes for each of the chats of one hint, and once for a chat named twice", async () => {
      const woken = new Map<number, number>();
      const chats = Array.from({ length: 600 }, (_, at) => chat(at + 1));
      for (const key of chats) {
        home.other.subscribe(key, () => {
          woken.set(key.chatNumber, (woken.get(key.chatNumber) ?? 0) + 1);
        });
      }
      await tellUntil(home.one, [chat(1)], () => woken.has(1));
      let last = 0;
      home.other.subscribe(chat(601), () => last++);
      await tellUntil(home.one, [...chats.slice(1), ...chats.slice(1)], () => woken.size === 600);
      await tellUntil(home.one, [chat(601)], () => last > 0);
      const counts = new Set([...woken].filter(([one]) => one > 1).map(([, count]) => count));
      expect(counts.size).to.equal(1);
    });

    it("ends one subscription without another, also of the same function", async () => {
      let woken = 0;
      let others = 0;
      const wake = () => {
        woken++;
      };
      const end = home.other.subscribe(chat(1), wake);
      const endSame = home.other.subscribe(chat(1), wake);
      home.other.subscribe(chat(1), () => others++);
      await tellUntil(home.one, [chat(1)], () => woken > 1);
      end();
      end();
      const before = woken;
      await tellUntil(home.one, [chat(1)], () => woken > before);
      endSame();
      const after = { woken, others };
      await tellUntil(home.one, [chat(1)], () => others > after.others);
      expect(woken).to.equal(after.woken);
    });
  });
}
