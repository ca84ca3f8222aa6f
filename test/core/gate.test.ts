import { expect } from "chai";
import fc from "fast-check";
import { Gate } from "../../src/core/gate.ts";
import { drawn } from "../support/runs.ts";

describe("a gate", () => {
  const never = new AbortController().signal;

  it("lets in no more than it may, all in their order, and is empty in the end", async () => {
    const weights = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 40 });
    const run = async (all: number[]) => {
      const gate = new Gate(10);
      const begun: number[] = [];
      let inside: number[] = [];
      const step = (at: number) => async () => {
        begun.push(at);
        inside.push(at);
        const weight = inside.reduce((sum, one) => sum + all[one]!, 0);
        expect(weight <= 10 || inside.length === 1).to.equal(true);
        await new Promise((resolve) => setImmediate(resolve));
        inside = inside.filter((one) => one !== at);
        if (at % 5 === 0) throw new Error("failed inside");
      };
      const passes = all.map((weight, at) => gate.pass(weight, never, step(at)));
      await Promise.allSettled(passes);
      expect(begun).to.deep.equal(all.map((_, at) => at));
    };
    await fc.assert(fc.asyncProperty(weights, run), drawn(50));
  });

  it("lets who waits go away, and gives the room to the next", async () => {
    const gate = new Gate(1);
    const gone = new AbortController();
    let open = () => {};
    const first = gate.pass(1, never, () => new Promise<void>((resolve) => (open = resolve)));
    const second = gate.pass(1, gone.signal, () => Promise.reject(new Error("was let in")));
    const third = gate.pass(1, never, async () => "third");
    gone.abort(new Error("has gone"));
    expect(await second.catch((error: Error) => error.message)).to.equal("has gone");
    open();
    await first;
    expect(await third).to.equal("third");
  });
});
