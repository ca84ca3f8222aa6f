import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { foldText } from "../../src/core/fold.ts";
import type { ChatKey, SearchIndex } from "../../src/core/ports.ts";
import type { OpenIndex } from "./indices.ts";
import { document } from "./search-index.ts";

/** The part of the index's contract that is about messages which are changed. */
export function versionsContract(home: () => OpenIndex): void {
  describe("versions", () => {
    let opened: OpenIndex;
    let index: SearchIndex;
    let key: ChatKey;

    beforeEach(() => {
      opened = home();
      index = opened.index;
      key = { applicationToken: randomUUID(), chatNumber: 1 };
    });

    const find = (part: string) =>
      index.find({ ...key, parts: [foldText(part)], before: Number.POSITIVE_INFINITY, limit: 99 });

    async function write(number: number, body: string, version: number): Promise<void> {
      const errors = await index.index([{ ...document(key, number, body), version }]);
      expect(errors).to.deep.equal([undefined]);
      await opened.settle();
    }

    it("take the place of lower ones, and never go back", async () => {
      await write(1, "second text", 2);
      await write(1, "first text", 1);
      expect(await find("first")).to.deep.equal([]);
      expect(await find("second")).to.deep.equal([1]);
      await write(1, "third text", 3);
      expect(await find("second")).to.deep.equal([]);
      expect(await find("third")).to.deep.equal([1]);
      expect(await index.extent(key)).to.deep.equal({ count: 1, lastNumber: 1 });
    });

    it("that are tombstones are counted, and found by nothing after a late write", async () => {
      await write(1, "one", 1);
      await write(2, "two one", 1);
      await write(2, "", 2);
      for (const late of ["", "two one", "two one"]) {
        for (const part of ["o", "one", "e"]) expect(await find(part)).to.deep.equal([1]);
        for (const part of ["w", "two"]) expect(await find(part)).to.deep.equal([]);
        expect(await index.extent(key)).to.deep.equal({ count: 2, lastNumber: 2 });
        expect(await index.count(key, { firstNumber: 2, lastNumber: 2 })).to.equal(1);
        await write(2, late, 1);
      }
    });
  });
}
