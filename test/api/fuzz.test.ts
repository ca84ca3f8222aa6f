import { randomUUID } from "node:crypto";
import type { DescMethod } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import fc from "fast-check";
import { registry } from "../../src/api/contract.ts";
import type { Counter } from "../../src/core/ports.ts";
import { openRawCalls, type RawCalls } from "../support/raw-calls.ts";
import { groups, messageOf, type Names } from "../support/requests.ts";
import { drawn, patience, seedNote } from "../support/runs.ts";
import { describeStacks, type Refusal, useSystem } from "../support/system.ts";
import { photograph, seedWitness } from "../support/witness.ts";

/** Every RPC of the contract that is ours. */
const rpcs: DescMethod[] = [...registry]
  .filter((one) => one.kind === "service" && one.typeName.startsWith("parley."))
  .flatMap((one) => (one.kind === "service" ? one.methods : []));

const pathOf = (rpc: DescMethod) => `/${rpc.parent.typeName}/${rpc.name}`;

/** What a caller can be told while every part is up. */
const CLEAR = [status.INVALID_ARGUMENT, status.NOT_FOUND, status.ALREADY_EXISTS];

describeStacks(`requests that nobody expects, ${seedNote}`, (stack) => {
  const parley = useSystem(stack);
  const requestIds = [1, 2, 3].map(() => randomUUID());
  let raw: RawCalls;
  let names: Names;
  let witness: string;

  before(async () => {
    raw = openRawCalls(parley.target);
    witness = await seedWitness(parley);
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    const token = application!.token;
    for (let at = 0; at < 3; at++) await parley.clients.createChat({ applicationToken: token });
    const digit = witness.endsWith("0") ? "1" : "0";
    const otherTokens = [randomUUID(), `${witness.slice(0, -1)}${digit}`, witness.toUpperCase()];
    names = { token, otherTokens, requestIds };
  });
  after(() => raw?.close());

  /** The counters that a call of this test can move, and how many applications there are. */
  async function counted(): Promise<unknown> {
    const applicationToken = names.token;
    const { intake, store } = parley.system.stack;
    const { length } = await store.listApplications({ after: 0, limit: 1_000_000 });
    const chats = (await intake.counts([{ applicationToken }]))[0] ?? 0;
    const counters: Counter[] = Array.from({ length: chats }, (_, at) => ({
      applicationToken,
      chatNumber: at + 1,
    }));
    return { length, chats, messages: await intake.counts(counters) };
  }

  function expectClear(refusal: Refusal): void {
    expect(CLEAR, refusal.message).to.include(refusal.code);
    expect(refusal.reason).to.be.a("string");
    if (refusal.code !== status.INVALID_ARGUMENT) return;
    expect(Object.keys(refusal.violations), refusal.message).to.not.deep.equal([]);
    for (const [field, bound] of Object.entries(refusal.violations)) {
      expect(field).to.match(/^(\*|[a-z_]+(\.[a-z_]+|\[\d+\])*)$/);
      expect(bound).to.match(/^must /);
    }
  }

  for (const rpc of rpcs) {
    it(`${rpc.name} answers or refuses clearly, and a refusal changes nothing`, async () => {
      const before = await photograph(parley, witness);
      const send = async (bytes: Uint8Array) => {
        const counts = await counted();
        const { refusal } = await raw.send(pathOf(rpc), bytes);
        if (refusal === undefined) return;
        expectClear(refusal);
        expect(await counted()).to.deep.equal(counts);
      };
      await send(groups(10_000));
      await send(Buffer.alloc(1_000_000, groups(1).subarray(0, 2)));
      // Built here, since the names are not known before the suite runs.
      await fc.assert(fc.asyncProperty(messageOf(rpc.input, names), send), drawn(60));
      expect(await photograph(parley, witness)).to.deep.equal(before);
    }).timeout(patience(60_000));
  }

  it("leaves every number up to the counter a message, and no job behind", async () => {
    const applicationToken = names.token;
    const { intake } = parley.system.stack;
    const [chats] = await intake.counts([{ applicationToken }]);
    for (let chatNumber = 1; chatNumber <= chats!; chatNumber++) {
      const key = { applicationToken, chatNumber };
      const [count] = await intake.counts([key]);
      const { messages, voids } = await parley.clients.listMessages({ ...key, pageSize: 1_000 });
      expect(messages.map((one) => one.number)).to.deep.equal(
        Array.from({ length: count! }, (_, at) => at + 1),
      );
      expect(voids).to.deep.equal([]);
    }
    while ((await intake.backlog()).jobs > 0) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await parley.system.stack.queue.listParked(10)).to.deep.equal([]);
  });
});
