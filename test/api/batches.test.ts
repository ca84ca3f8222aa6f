import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import { type Message, State } from "../../clients/typescript/src/contract.ts";
import { describeStacks, freshPlace, refusalOf, start, useSystem } from "../support/system.ts";

describeStacks("batches", (stack) => {
  const parley = useSystem(stack);
  let key: { applicationToken: string; chatNumber: number };

  beforeEach(async () => {
    const answer = await parley.clients.createApplication({ application: { name: "batches" } });
    const applicationToken = answer.application!.token;
    await parley.clients.createChat({ applicationToken });
    key = { applicationToken, chatNumber: 1 };
  });

  const named = (count: number, body: string) =>
    Array.from({ length: count }, (_, at) => ({ body: `${body} ${at}`, author: "ann" }));
  const send = (messages: Parameters<typeof Message.fromPartial>[0][], more: object = {}) =>
    parley.clients.batchCreateMessages({ ...key, messages, ...more });

  async function listAll(): Promise<Message[]> {
    const all: Message[] = [];
    let pageToken = "";
    do {
      const page = await parley.clients.listMessages({ ...key, pageSize: 1_000, pageToken });
      expect(page.voids).to.deep.equal([]);
      all.push(...page.messages);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return all;
  }

  it("are read at once, number by number, as messages that came alone", async () => {
    const attributes = { ref: "7" };
    const originalTime = new Date(1_234_567_890_123);
    const first = { body: "one", author: "ann", attributes, originalTime };
    const batch = await send([first, { body: "two" }, ...named(62, "three"), { body: "last" }]);
    expect(batch.numbers).to.deep.equal({ firstNumber: 1, lastNumber: 65 });
    expect(batch).to.deep.include({ replayed: false, state: State.STATE_ACCEPTED });
    const before = await listAll();
    expect(before.map((one) => one.number)).to.deep.equal(before.map((_, at) => at + 1));
    expect(before.map((one) => one.body).slice(0, 3)).to.deep.equal(["one", "two", "three 0"]);
    expect(before[64]).to.deep.include({ body: "last", author: "", attributes: {}, ...key });
    expect(before[0]).to.deep.include({ attributes, originalTime, createTime: batch.createTime });
    await send([{ body: "end" }], { waitFor: State.STATE_PERSISTED });
    const after = (await listAll()).slice(0, 65);
    expect(after.map((one) => ({ ...one, state: 0 }))).to.deep.equal(
      before.map((one) => ({ ...one, state: 0 })),
    );
  });

  it("wait until all of them are searchable", async () => {
    const waitFor = State.STATE_SEARCHABLE;
    const { state, numbers } = await send(named(300, "needle"), { waitFor });
    expect(state).to.equal(State.STATE_SEARCHABLE);
    const found = await parley.clients.searchMessages({ ...key, query: "eedl", pageSize: 1_000 });
    expect(found.results).to.have.length(300);
    expect(found.indexedThroughNumber).to.equal(numbers!.lastNumber);
  });

  it("and single messages at once get numbers without a gap or a repeat", async () => {
    const sizes = [1_000, 1, 7, 500, 1, 64, 1_000, 3, 250, 1];
    const given = await Promise.all(
      sizes.map(async (size, at) => {
        if (size > 1) return (await send(named(size, `${at}`))).numbers!;
        const { message } = await parley.clients.createMessage({ ...key, message: { body: "x" } });
        return { firstNumber: message!.number, lastNumber: message!.number };
      }),
    );
    given.sort((one, other) => one.firstNumber - other.firstNumber);
    let next = 1;
    for (const { firstNumber, lastNumber } of given) {
      expect(firstNumber).to.equal(next);
      next = lastNumber + 1;
    }
    expect(next - 1).to.equal(sizes.reduce((sum, size) => sum + size));
    expect(await listAll()).to.have.length(next - 1);
  });

  it("return the first answer for a request id that comes again", async () => {
    const requestId = randomUUID();
    const messages = named(5, "once");
    await send([{ body: "before" }]);
    const answers = await Promise.all([1, 2, 3].map(() => send(messages, { requestId })));
    for (const one of answers) {
      expect(one.numbers).to.deep.equal({ firstNumber: 2, lastNumber: 6 });
      expect(one.createTime).to.be.an.instanceOf(Date);
    }
    expect(answers.filter((one) => !one.replayed)).to.have.length(1);
    const others = [
      messages.slice(1),
      [...messages].reverse(),
      messages.map((one) => ({ ...one, attributes: { a: "" } })),
      messages.map((one) => ({ ...one, originalTime: new Date(0) })),
    ];
    for (const other of others) {
      const refusal = await refusalOf(send(other, { requestId }));
      expect(refusal.reason).to.equal("REQUEST_ID_REUSED");
    }
    const single = parley.clients.createMessage({ ...key, message: messages[0]!, requestId });
    expect((await refusalOf(single)).reason).to.equal("REQUEST_ID_REUSED");
    expect(await listAll()).to.have.length(6);
    await parley.clients.deleteChat({
      applicationToken: key.applicationToken,
      number: 1,
      force: true,
    });
    expect((await refusalOf(send(messages, { requestId }))).reason).to.equal("CHAT_NOT_FOUND");
  });

  it("are refused as a whole, with the name of each field that is wrong", async () => {
    const good = named(2, "good");
    const cases: [object[], string[]][] = [
      [[], ["messages"]],
      [named(1_001, "x"), ["messages"]],
      [[...good, { body: "" }], ["messages[2].body"]],
      [
        [{ body: "x", author: "a".repeat(256) }, ...good, { body: "x", attributes: { "": "" } }],
        ["messages[0].author", "messages[3].attributes"],
      ],
    ];
    for (const [messages, fields] of cases) {
      const refusal = await refusalOf(send(messages));
      expect(refusal).to.include({ code: status.INVALID_ARGUMENT, reason: "FIELD_INVALID" });
      expect(Object.keys(refusal.violations)).to.deep.equal(fields);
    }
    const many = await refusalOf(send(Array(1_000).fill({ body: "" })));
    expect(Object.keys(many.violations).length).to.be.within(1, 32);
    expect(await listAll()).to.deep.equal([]);
    const absent = { ...key, chatNumber: 9, messages: good };
    const refusal = await refusalOf(parley.clients.batchCreateMessages(absent));
    expect(refusal.reason).to.equal("CHAT_NOT_FOUND");
  });

  it("are refused as a whole where the backlog has no room for all", async () => {
    const place = await freshPlace(stack);
    const small = await start(place, ["api"], { PARLEY_BACKLOG_MAX: "10" });
    try {
      const { clients } = small;
      const { application } = await clients.createApplication({ application: { name: "small" } });
      const applicationToken = application!.token;
      await clients.createChat({ applicationToken });
      const chat = { applicationToken, chatNumber: 1 };
      const batch = (count: number) =>
        clients.batchCreateMessages({ ...chat, messages: named(count, "x") });
      const refusal = await refusalOf(batch(10));
      expect(refusal).to.include({ code: status.RESOURCE_EXHAUSTED, reason: "BACKLOG_FULL" });
      expect((await batch(9)).numbers).to.deep.equal({ firstNumber: 1, lastNumber: 9 });
      expect((await refusalOf(batch(1))).reason).to.equal("BACKLOG_FULL");
    } finally {
      await small.stop();
      await place.drop();
    }
  });

  it("take the largest request that gRPC takes", async () => {
    const body = "é'".repeat(5_461);
    const { numbers } = await send(Array(255).fill({ body }), { waitFor: State.STATE_PERSISTED });
    expect(numbers).to.deep.equal({ firstNumber: 1, lastNumber: 255 });
    const refusal = await refusalOf(send(Array(260).fill({ body })));
    expect(refusal.code).to.equal(status.RESOURCE_EXHAUSTED);
    expect(await listAll()).to.have.length(255);
  });
});
