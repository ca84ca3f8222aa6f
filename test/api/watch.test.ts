import { expect } from "chai";
import { State } from "../../src/client.ts";
import type { ChatKey } from "../../src/core/ports.ts";
import { describeStacks, type Running, refusalIn, useSystem } from "../support/system.ts";

const BRIEF = { watch: { lookMs: 100, heartbeatMs: 200, slowMs: 1_000 } };

async function newChat({ clients }: Running): Promise<ChatKey> {
  const { application } = await clients.createApplication({ application: { name: "watched" } });
  const applicationToken = application!.token;
  await clients.createChat({ applicationToken, waitFor: State.STATE_PERSISTED });
  return { applicationToken, chatNumber: 1 };
}

async function say({ clients }: Running, key: ChatKey, ...bodies: string[]): Promise<void> {
  for (const body of bodies) await clients.createMessage({ ...key, message: { body } });
}

const numbered = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, at) => `message ${first + at}`);

describeStacks("who watches a chat", (stack) => {
  const parley = useSystem(stack, ["api", "worker"], BRIEF);

  it("is sent what is there, then that this was all, then what is new", async () => {
    const key = await newChat(parley);
    await say(parley, key, "one", "two", "three");
    const all = parley.clients.watchMessages(key);
    await all.heard("message 1", "message 2", "message 3", "caughtUp");
    await say(parley, key, "four");
    await all.heard("message 4", "heartbeat");
    const later = parley.clients.watchMessages({ ...key, afterNumber: 3 });
    await later.heard("message 4", "caughtUp");
    await say(parley, key, ...Array.from({ length: 50 }, (_, at) => `more ${at}`));
    const told = (words: string[]) => words.filter((word) => word !== "heartbeat");
    for (const one of [all, later]) await one.heard("message 54");
    expect(told(all.words)).to.deep.equal([...numbered(1, 3), "caughtUp", ...numbered(4, 54)]);
    expect(told(later.words)).to.deep.equal(["message 4", "caughtUp", ...numbered(5, 54)]);
    await all.cancel();
    await later.cancel();
  });

  it("hears that there is no such chat, and that it was deleted", async () => {
    const key = await newChat(parley);
    const none = parley.clients.watchMessages({ ...key, chatNumber: 7 });
    expect(refusalIn(await none.ended).reason).to.equal("CHAT_NOT_FOUND");
    const some = parley.clients.watchMessages(key);
    await some.heard("caughtUp");
    await parley.clients.deleteChat({
      applicationToken: key.applicationToken,
      number: 1,
      force: true,
    });
    expect(refusalIn(await some.ended).reason).to.equal("CHAT_NOT_FOUND");
    expect(some.words.filter((word) => word !== "heartbeat")).to.deep.equal(["caughtUp"]);
  });
});
