import { setImmediate as turn } from "node:timers/promises";
import { expect } from "chai";
import { type CallParts, type Incoming, runCall } from "../../src/api/call.ts";
import { Turns } from "../../src/api/turns.ts";
import { testLog } from "../support/system.ts";

describe("calls that come together", () => {
  it("begin in the order in which they came, some in each turn of the event loop", async () => {
    const turns = new Turns();
    const begun: number[] = [];
    for (let at = 0; at < 70; at++) {
      turns.add(() => {
        begun.push(at);
        // What comes while another begins waits like all others.
        if (at === 0) turns.add(() => begun.push(70));
      });
    }
    const counts: number[] = [];
    for (let at = 0; at < 4; at++) {
      counts.push(begun.length);
      await turn();
    }
    expect(counts).to.deep.equal([0, 32, 64, 71]);
    expect(begun).to.deep.equal(Array.from({ length: 71 }, (_, at) => at));
    turns.add(() => begun.push(71));
    await turn();
    expect(begun.length).to.equal(72);
  });

  it("do nothing where their caller left before they began", async () => {
    const parts = { turns: new Turns(), log: testLog } as unknown as CallParts;
    const done: string[] = [];
    const incoming = {
      name: "parley.v1.ChatService/GetChat",
      deadline: Number.POSITIVE_INFINITY,
      header: () => done.push("let in"),
      read: () => done.push("read"),
      answer: () => done.push("answered"),
    } as unknown as Incoming<unknown, unknown>;
    runCall(parts, incoming)();
    await turn();
    await turn();
    expect(done).to.deep.equal([]);
  });
});
