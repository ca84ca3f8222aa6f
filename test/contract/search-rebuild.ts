import { randomUUID } from "node:crypto";
import { expect } from "chai";
import type { ChatKey, SearchIndex } from "../../src/core/ports.ts";
import type { OpenIndex } from "./indices.ts";
import { document } from "./search-index.ts";

/** The part of the index's contract that is about a second one in the making. */
export function rebuildContract(home: () => OpenIndex): void {
  describe("rebuild", () => {
    let opened: OpenIndex;
    let index: SearchIndex;
    let key: ChatKey;

    beforeEach(() => {
      opened = home();
      index = opened.index;
      key = { applicationToken: randomUUID(), chatNumber: 1 };
    });

    const find = (part: string) =>
      index.find({ ...key, parts: [part], before: Number.POSITIVE_INFINITY, limit: 99 });

    async function write(bodies: Record<number, string>): Promise<void> {
      const documents = Object.entries(bodies).map(([number, body]) => {
        return document(key, Number(number), body);
      });
      expect(await index.index(documents)).to.deep.equal(documents.map(() => undefined));
      await opened.settle();
    }

    it("serves the old until the new, with its identity, takes its place in one step", async () => {
      await write({ 1: "old words", 2: "old words" });
      const identity = await index.identity();
      const rebuild = await index.rebuild();
      expect(await rebuild.index([document(key, 1, "new words")])).to.deep.equal([undefined]);
      await write({ 3: "words of both" });
      expect(await find("words")).to.deep.equal([3, 2, 1]);
      expect(await find("new")).to.deep.equal([]);
      await rebuild.finish();
      expect(await find("words")).to.deep.equal([3, 1]);
      expect(await find("new")).to.deep.equal([1]);
      expect(await index.extent(key)).to.deep.equal({ count: 2, lastNumber: 3 });
      expect(await index.identity()).to.equal(identity);
      await write({ 4: "more words" });
      expect(await find("words")).to.deep.equal([4, 3, 1]);
    }).timeout(60_000);

    it("is one at a time, and leaves nothing when it is abandoned", async () => {
      await write({ 1: "words" });
      const rebuild = await index.rebuild();
      const refusal = await index.rebuild().catch((error: Error) => error.message);
      expect(refusal).to.be.a("string").and.include("rebuil");
      await rebuild.index([document(key, 1, "new words")]);
      await rebuild.abandon();
      await write({ 2: "words" });
      expect(await find("words")).to.deep.equal([2, 1]);
      expect(await find("new")).to.deep.equal([]);
    }).timeout(60_000);

    it("does not take back a document that is newer than the row that was read", async () => {
      await write({ 1: "words" });
      const rebuild = await index.rebuild();
      await index.index([{ ...document(key, 1, "later"), version: 2 }]);
      await rebuild.index([document(key, 1, "words")]);
      await rebuild.finish();
      expect(await find("words")).to.deep.equal([]);
      expect(await find("later")).to.deep.equal([1]);
    }).timeout(60_000);
  });
}
