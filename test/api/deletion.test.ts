import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import { describeStacks, refusalOf, useSystem } from "../support/system.ts";

const persisted = { waitFor: State.STATE_PERSISTED };

describeStacks("deletion", (stack) => {
  const parley = useSystem(stack);
  let applicationToken: string;
  let key: { applicationToken: string; chatNumber: number };

  beforeEach(async () => {
    const answer = await parley.clients.createApplication({ application: { name: "gone" } });
    applicationToken = answer.application!.token;
    await parley.clients.createChat({ applicationToken, ...persisted });
    key = { applicationToken, chatNumber: 1 };
  });

  const say = (body: string, more: object = {}) =>
    parley.clients.createMessage({ ...key, message: { body }, ...more });
  const sayTogether = (...bodies: string[]) =>
    parley.clients.batchCreateMessages({ ...key, messages: bodies.map((body) => ({ body })) });
  const reasonOf = async (call: Promise<unknown>) => (await refusalOf(call)).reason;

  /** What every call says of a chat that is gone. */
  async function expectNoChat(): Promise<void> {
    const { clients } = parley;
    const number = key.chatNumber;
    const gone = "CHAT_NOT_FOUND";
    expect(await reasonOf(clients.getChat({ applicationToken, number }))).to.equal("NUMBER_VOID");
    expect(await reasonOf(clients.getMessage({ ...key, number: 1 }))).to.equal(gone);
    expect(await reasonOf(clients.listMessages(key))).to.equal(gone);
    expect(await reasonOf(clients.searchMessages({ ...key, query: "one" }))).to.equal(gone);
    expect(await reasonOf(say("more"))).to.equal(gone);
    expect(await reasonOf(sayTogether("more"))).to.equal(gone);
    const { chats } = await clients.listChats({ applicationToken });
    expect(chats.map((chat) => chat.number)).to.not.include(number);
    const again = clients.deleteChat({ applicationToken, number, force: true });
    expect(await reasonOf(again)).to.equal("NUMBER_VOID");
  }

  async function expectNoApplication(): Promise<void> {
    const { clients } = parley;
    const gone = "APPLICATION_NOT_FOUND";
    expect(await reasonOf(clients.getApplication({ applicationToken }))).to.equal(gone);
    const application = { token: applicationToken, name: "back" };
    expect(await reasonOf(clients.updateApplication({ application }))).to.equal(gone);
    expect(await reasonOf(clients.createChat({ applicationToken }))).to.equal(gone);
    expect(await reasonOf(clients.listChats({ applicationToken }))).to.equal(gone);
    expect(await reasonOf(clients.getChat({ applicationToken, number: 1 }))).to.equal(gone);
    expect(await reasonOf(clients.getMessage({ ...key, number: 1 }))).to.equal(gone);
    expect(await reasonOf(clients.listMessages(key))).to.equal(gone);
    expect(await reasonOf(clients.searchMessages({ ...key, query: "one" }))).to.equal(gone);
    expect(await reasonOf(say("more"))).to.equal(gone);
    expect(await reasonOf(sayTogether("more"))).to.equal(gone);
    const chat = { externalId: "named" };
    expect(await reasonOf(clients.createChat({ applicationToken, chat }))).to.equal(gone);
    expect(await reasonOf(clients.getChat({ applicationToken, ...chat }))).to.equal(gone);
    const again = clients.deleteApplication({ applicationToken, force: true });
    expect(await reasonOf(again)).to.equal(gone);
    const { applications } = await clients.listApplications({ pageSize: 1_000 });
    expect(applications.map((one) => one.token)).to.not.include(applicationToken);
  }

  it("of an empty chat needs no force, and its number is not given again", async () => {
    await parley.clients.deleteChat({ applicationToken, number: 1 });
    await expectNoChat();
    const { chat } = await parley.clients.createChat({ applicationToken });
    expect(chat!.number).to.equal(2);
  });

  it("of a chat with messages needs force, also where they are not stored yet", async () => {
    await say("one");
    const refusal = await refusalOf(parley.clients.deleteChat({ applicationToken, number: 1 }));
    expect(refusal.code).to.equal(status.FAILED_PRECONDITION);
    expect(refusal.reason).to.equal("NOT_EMPTY");
    await say("two", { waitFor: State.STATE_SEARCHABLE });
    const stored = await refusalOf(parley.clients.deleteChat({ applicationToken, number: 1 }));
    expect(stored.reason).to.equal("NOT_EMPTY");
    expect((await say("three")).message!.number, "no number was skipped").to.equal(3);
    await parley.clients.deleteChat({ applicationToken, number: 1, force: true });
    await expectNoChat();
  });

  it("of an empty application needs no force", async () => {
    await parley.clients.deleteChat({ applicationToken, number: 1 });
    await parley.clients.deleteApplication({ applicationToken });
    await expectNoApplication();
  });

  it("of an application with a chat needs force, and takes all along", async () => {
    await say("one", { waitFor: State.STATE_SEARCHABLE });
    const refusal = await refusalOf(parley.clients.deleteApplication({ applicationToken }));
    expect(refusal.reason).to.equal("NOT_EMPTY");
    expect((await say("two")).message!.number).to.equal(2);
    await parley.clients.deleteApplication({ applicationToken, force: true });
    await expectNoApplication();
  });

  it("leaves another application with the same numbers as it was", async () => {
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    const other = { applicationToken: application!.token, chatNumber: 1 };
    await parley.clients.createChat({ applicationToken: other.applicationToken, ...persisted });
    const message = { body: "one of the other" };
    const waitFor = State.STATE_SEARCHABLE;
    await parley.clients.createMessage({ ...other, message, waitFor });
    await say("one", { waitFor });
    await parley.clients.deleteApplication({ applicationToken, force: true });
    const { messages } = await parley.clients.listMessages(other);
    expect(messages.map((one) => one.body)).to.deep.equal([message.body]);
    const { results } = await parley.clients.searchMessages({ ...other, query: "one" });
    expect(results).to.have.length(1);
    expect((await parley.clients.createMessage({ ...other, message })).message!.number).to.equal(2);
  });

  it("of what was never there says so", async () => {
    const { clients } = parley;
    const stranger = randomUUID();
    for (const force of [false, true]) {
      const nine = clients.deleteChat({ applicationToken, number: 9, force });
      expect(await reasonOf(nine)).to.equal("CHAT_NOT_FOUND");
      const alien = clients.deleteChat({ applicationToken: stranger, number: 1, force });
      expect(await reasonOf(alien)).to.equal("APPLICATION_NOT_FOUND");
      const none = clients.deleteApplication({ applicationToken: stranger, force });
      expect(await reasonOf(none)).to.equal("APPLICATION_NOT_FOUND");
    }
    expect((await refusalOf(clients.deleteChat({ applicationToken }))).violations).to.have.property(
      "number",
    );
  });

  it("leaves nothing for a replay of the call that created it", async () => {
    const { clients } = parley;
    const [ofChat, ofMessage, ofApplication] = [randomUUID(), randomUUID(), randomUUID()];
    const { chat } = await clients.createChat({ applicationToken, requestId: ofChat });
    key = { applicationToken, chatNumber: chat!.number };
    await say("once", { requestId: ofMessage });
    const number = chat!.number;
    await clients.deleteChat({ applicationToken, number, force: true });
    expect(await reasonOf(say("once", { requestId: ofMessage }))).to.equal("CHAT_NOT_FOUND");
    const again = clients.createChat({ applicationToken, requestId: ofChat });
    expect(await reasonOf(again)).to.equal("NUMBER_VOID");
    const request = { application: { name: "replayed" }, requestId: ofApplication };
    const { application } = await clients.createApplication(request);
    await clients.deleteApplication({ applicationToken: application!.token });
    expect(await reasonOf(clients.createApplication(request))).to.equal("APPLICATION_NOT_FOUND");
    const other = clients.createApplication({ ...request, application: { name: "other" } });
    expect(await reasonOf(other)).to.equal("REQUEST_ID_REUSED");
  });

  it("takes a chat off the count of its application's chats at once", async () => {
    await parley.clients.createChat({ applicationToken, ...persisted });
    const { store } = parley.system.stack;
    await store.updateCounts([{ counter: { applicationToken }, count: 2 }], new Date());
    await parley.clients.deleteChat({ applicationToken, number: 1 });
    const { application } = await parley.clients.getApplication({ applicationToken });
    expect(application!.chatsCount).to.equal(1);
    // A sync that read the counter before.
    await store.updateCounts([{ counter: { applicationToken }, count: 1 }], new Date());
    const after = await parley.clients.getApplication({ applicationToken });
    expect(after.application!.chatsCount).to.equal(1);
  });
});
