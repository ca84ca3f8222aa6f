import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import { describeStacks, refusalOf, useSystem } from "../support/system.ts";

describeStacks("chats", (stack) => {
  const parley = useSystem(stack);
  let applicationToken: string;

  beforeEach(async () => {
    const answer = await parley.clients.createApplication({ application: { name: "chats" } });
    applicationToken = answer.application!.token;
  });

  const numbers = async () =>
    (await parley.clients.listChats({ applicationToken, pageSize: 1_000 })).chats.map(
      (chat) => chat.number,
    );

  it("numbers the chats of an application 1, 2, 3, and sets each one's counter to 0", async () => {
    for (const expected of [1, 2, 3]) {
      const { chat, replayed } = await parley.clients.createChat({ applicationToken });
      expect(chat!.number).to.equal(expected);
      expect(chat!.applicationToken).to.equal(applicationToken);
      expect(replayed).to.equal(false);
      const counters = [{ applicationToken }, { applicationToken, chatNumber: expected }];
      expect(await parley.system.stack.intake.counts(counters)).to.deep.equal([expected, 0]);
    }
  });

  it("shows a chat at once, and as persisted when its row is written", async () => {
    const { chat } = await parley.clients.createChat({ applicationToken });
    const got = await parley.clients.getChat({ applicationToken, number: chat!.number });
    expect(got.chat!.createTime).to.deep.equal(chat!.createTime);
    expect(await numbers()).to.deep.equal([1]);
    const waited = await parley.clients.createChat({
      applicationToken,
      waitFor: State.STATE_PERSISTED,
    });
    expect(waited.chat!.state).to.equal(State.STATE_PERSISTED);
    const persisted = await parley.clients.getChat({ applicationToken, number: 2 });
    expect(persisted.chat!.state).to.equal(State.STATE_PERSISTED);
  });

  it("refuses to wait for a chat to be searchable, which it never is", async () => {
    const call = parley.clients.createChat({ applicationToken, waitFor: State.STATE_SEARCHABLE });
    const refusal = await refusalOf(call);
    expect(refusal.reason).to.equal("FIELD_INVALID");
    expect(refusal.violations.wait_for).to.contain("STATE_PERSISTED");
    expect(await numbers()).to.deep.equal([]);
  });

  it("gives 64 callers at once, 20 chats each, exactly the numbers 1 to 1280", async () => {
    const given: number[] = [];
    const caller = async () => {
      for (let at = 0; at < 20; at++) {
        given.push((await parley.clients.createChat({ applicationToken })).chat!.number);
      }
    };
    await Promise.all(Array.from({ length: 64 }, caller));
    const dense = Array.from({ length: 1_280 }, (_, at) => at + 1);
    expect(given.sort((a, b) => a - b)).to.deep.equal(dense);
    const listed: number[] = [];
    let pageToken = "";
    do {
      const page = await parley.clients.listChats({ applicationToken, pageSize: 500, pageToken });
      listed.push(...page.chats.map((chat) => chat.number));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(listed).to.deep.equal(dense);
  });

  it("returns the first answer for a request id that comes again in the application", async () => {
    const requestId = randomUUID();
    const first = await parley.clients.createChat({ applicationToken, requestId });
    const again = await parley.clients.createChat({
      applicationToken,
      requestId: requestId.toUpperCase(),
    });
    expect(again.replayed).to.equal(true);
    expect(again.chat!.number).to.equal(first.chat!.number);
    expect(again.chat!.createTime).to.deep.equal(first.chat!.createTime);
    expect(await numbers()).to.deep.equal([1]);
    const other = await parley.clients.createApplication({ application: { name: "other" } });
    const elsewhere = await parley.clients.createChat({
      applicationToken: other.application!.token,
      requestId,
    });
    expect(elsewhere.replayed).to.equal(false);
  });

  it("says CHAT_NOT_FOUND for a number that was not given", async () => {
    await parley.clients.createChat({ applicationToken });
    for (const call of [
      () => parley.clients.getChat({ applicationToken, number: 2 }),
      () =>
        parley.clients.createMessage({ applicationToken, chatNumber: 2, message: { body: "x" } }),
      () => parley.clients.listMessages({ applicationToken, chatNumber: 2 }),
      () => parley.clients.getMessage({ applicationToken, chatNumber: 2, number: 1 }),
      () => parley.clients.searchMessages({ applicationToken, chatNumber: 2, query: "x" }),
    ]) {
      const refusal = await refusalOf(call());
      expect(refusal.code).to.equal(status.NOT_FOUND);
      expect(refusal.reason).to.equal("CHAT_NOT_FOUND");
    }
  });
});
