import { expect } from "chai";
import fc from "fast-check";
import { foldText } from "../../src/core/fold.ts";
import { matches, parseQuery } from "../../src/core/query.ts";
import { BODIES, IDS, Model, NAMES, TOKENS } from "../support/alike.ts";
import { drawn, patience, seedNote } from "../support/runs.ts";
import {
  type Clients,
  describeStacks,
  freshPlace,
  type Place,
  type Running,
  refusalOf,
  start,
} from "../support/system.ts";

/** Tokens are chosen by the service, so like ones are written beside it. */
async function insertAlike(parley: Running, tokens: string[]): Promise<void> {
  for (const token of tokens) {
    const createTime = new Date();
    await parley.system.stack.store.insertApplication({
      token,
      name: `named ${token}`,
      chatsCount: 0,
      countTime: undefined,
      createTime,
      updateTime: createTime,
    });
  }
}

const which = fc.nat(TOKENS.length - 1);
const chatNumber = fc.integer({ min: 1, max: 3 });
const requestId = fc.constantFrom("", ...IDS);
const step = fc.oneof(
  fc.record({
    kind: fc.constant("chat" as const),
    which,
    requestId,
    externalId: fc.constantFrom(...NAMES),
  }),
  fc.record({
    kind: fc.constant("batch" as const),
    which,
    chatNumber,
    requestId,
    bodies: fc.array(fc.constantFrom(...BODIES), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant("message" as const),
    which,
    chatNumber,
    requestId,
    body: fc.constantFrom(...BODIES),
  }),
  fc.record({
    kind: fc.constant("change" as const),
    which,
    chatNumber,
    number: fc.integer({ min: 1, max: 3 }),
    body: fc.constantFrom("", ...BODIES),
  }),
  fc.record({ kind: fc.constant("read" as const), which, chatNumber }),
);

/** Every answer that can be read of an application equals what its model says. */
async function expectModel(parley: Running, model: Model, { searched = false } = {}) {
  const { clients } = parley;
  const applicationToken = model.token;
  const { chats } = await clients.listChats({ applicationToken });
  const seen = chats.map((chat) => [chat.applicationToken, chat.number, chat.externalId]);
  expect(seen).to.deep.equal(
    model.chats.map(({ externalId }, at) => [applicationToken, at + 1, externalId]),
  );
  for (const externalId of new Set(NAMES.filter((name) => name !== ""))) {
    const call = clients.getChat({ applicationToken, externalId });
    const number = model.named(externalId);
    if (number !== undefined) expect((await call).chat!.number).to.equal(number);
    else expect((await refusalOf(call)).reason).to.equal("CHAT_NOT_FOUND");
  }
  for (const [at, { bodies }] of model.chats.entries()) {
    const key = { applicationToken, chatNumber: at + 1 };
    const { messages } = await clients.listMessages(key);
    const seen = messages.map(({ number, body, deleteTime, ...rest }) => {
      expect(rest).to.deep.include(key);
      expect(deleteTime === undefined).to.equal(body !== "");
      return [number, body];
    });
    expect(seen).to.deep.equal(bodies.map((body, one) => [one + 1, body]));
    const next = clients.getMessage({ ...key, number: bodies.length + 1 });
    expect((await refusalOf(next)).reason).to.equal("MESSAGE_NOT_FOUND");
    if (searched) await expectWatch(parley, key, bodies);
    if (searched && bodies.length > 0) await expectSearch(parley, key, bodies);
  }
  const missing = clients.getChat({ applicationToken, number: model.chats.length + 1 });
  expect((await refusalOf(missing)).reason).to.equal("CHAT_NOT_FOUND");
}

async function expectWatch(
  { clients }: Running,
  key: { applicationToken: string; chatNumber: number },
  bodies: string[],
): Promise<void> {
  const watching = clients.watchMessages(key);
  await watching.heard("caughtUp");
  await watching.cancel();
  for (const one of watching.messages) expect(one).to.deep.include(key);
  expect(watching.messages.map(({ number, body }) => [number, body])).to.deep.equal(
    bodies.map((body, at) => [at + 1, body]),
  );
}

async function expectSearch(
  parley: Running,
  key: { applicationToken: string; chatNumber: number },
  bodies: string[],
): Promise<void> {
  let through = 0;
  while (through < bodies.length) {
    const answer = await parley.clients.searchMessages({ ...key, query: "1" });
    through = answer.indexedThroughNumber;
    if (through < bodies.length) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(through).to.equal(bodies.length);
  for (const query of ["one", "1", "un"]) {
    const { results } = await parley.clients.searchMessages({ ...key, query });
    const found = results.map(({ message }) => message!);
    for (const one of found) expect(one).to.deep.include(key);
    expect(found.map(({ number, body }) => [number, body])).to.deep.equal(
      bodies
        .map((body, at) => [at + 1, body] as const)
        .filter(([, body]) => matches(foldText(body), parseQuery(query)))
        .reverse(),
    );
  }
}

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A call that writes something: the number that it answers with, and the one it must. */
function callOf(clients: Clients, model: Model, one: Exclude<Step, { kind: "read" }>) {
  if (one.kind === "change") {
    const { chatNumber, number, body } = one;
    const own = { applicationToken: model.token, chatNumber, number };
    const call =
      body === ""
        ? clients.deleteMessage(own)
        : clients.updateMessage({ ...own, message: { body } });
    const expected = model.change(chatNumber, number, body);
    return { expected, call: call.then(({ message }) => message!.number) };
  }
  const { requestId } = one;
  const { token: applicationToken } = model;
  if (one.kind === "chat") {
    const { externalId } = one;
    const call = clients.createChat({ applicationToken, requestId, chat: { externalId } });
    const expected = model.createChat(requestId, externalId);
    return { expected, call: call.then(({ chat }) => chat!.number) };
  }
  const { chatNumber } = one;
  const key = { applicationToken, chatNumber, requestId };
  if (one.kind === "batch") {
    const messages = one.bodies.map((body) => ({ body }));
    const call = clients.batchCreateMessages({ ...key, messages });
    const expected = model.createMessages(chatNumber, one.bodies, requestId);
    return { expected, call: call.then(({ numbers }) => numbers!.firstNumber) };
  }
  const call = clients.createMessage({ ...key, message: { body: one.body } });
  const expected = model.createMessages(chatNumber, one.body, requestId);
  return { expected, call: call.then(({ message }) => message!.number) };
}

describeStacks(`applications that are nearly the same, ${seedNote}`, (stack) => {
  let place: Place;
  let parley: Running;

  beforeEach(async () => {
    place = await freshPlace(stack);
  });
  afterEach(async () => {
    await parley?.stop();
    await place?.drop();
  });

  it("answer as each would alone, whatever the others do in between", async () => {
    parley = await start(place);
    const { clients } = parley;
    let used = 0;
    const run = async (steps: Step[]) => {
      // Every run has applications of its own, in one group of their tokens.
      const group = (++used).toString(16).padStart(3, "0");
      const models = TOKENS.map((token) => new Model(token.replace("-4aaa-", `-4${group}-`)));
      await insertAlike(
        parley,
        models.map((model) => model.token),
      );
      for (const one of steps) {
        const model = models[one.which]!;
        if (one.kind === "read") await expectModel(parley, model);
        else {
          const { expected, call } = callOf(clients, model, one);
          if (expected === undefined) await refusalOf(call);
          else expect(await call).to.equal(expected);
        }
      }
      for (const model of models) await expectModel(parley, model);
    };
    const steps = fc.array(step, { minLength: 10, maxLength: 30, size: "max" });
    await fc.assert(fc.asyncProperty(steps, run), { ...drawn(4), endOnFailure: true });
  }).timeout(patience(60_000));

  it("keep chat 1 message 11 apart from chat 11 message 1, as jobs, rows, documents", async () => {
    parley = await start(place, ["api"]);
    const models = TOKENS.slice(0, 2).map((token) => new Model(token));
    await insertAlike(parley, TOKENS.slice(0, 2));
    for (const model of models) {
      const applicationToken = model.token;
      for (let at = 0; at < 11; at++) {
        await parley.clients.createChat({ applicationToken });
        model.createChat("");
      }
      for (const [chat, count] of [1, 11].entries()) {
        for (let at = 0; at < 12 - count; at++) {
          const body = `one of chat ${count} and ${at} of ${models.indexOf(model)} ${chat}`;
          const key = { applicationToken, chatNumber: count };
          await parley.clients.createMessage({ ...key, message: { body } });
          model.createMessages(count, body, "");
        }
      }
    }
    for (const model of models) await expectModel(parley, model);
    await parley.stop();
    parley = await start(place);
    for (const model of models) await expectModel(parley, model, { searched: true });
  }).timeout(60_000);
});
