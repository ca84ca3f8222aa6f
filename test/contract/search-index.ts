import { randomUUID } from "node:crypto";
import { expect } from "chai";
import fc from "fast-check";
import { foldText } from "../../src/core/fold.ts";
import { PAGE_SIZE_MAX, QUERY_CHARACTERS_MAX } from "../../src/core/limits.ts";
import type { ChatKey, SearchDocument, SearchIndex } from "../../src/core/ports.ts";
import { matches, parseQuery } from "../../src/core/query.ts";
import { samples } from "../support/samples.ts";
import type { OpenIndex } from "./indices.ts";
import { rebuildContract } from "./search-rebuild.ts";
import { versionsContract } from "./search-versions.ts";

const INFINITY = Number.POSITIVE_INFINITY;

/** What every SearchIndex does. `open` makes a fresh one; `missing` says why there is none. */
export function searchIndexContract(
  name: string,
  open: () => Promise<OpenIndex>,
  missing?: string,
): void {
  const suite = missing === undefined ? describe : describe.skip;
  suite(`search index: ${name}`, () => {
    let opened: OpenIndex;
    let index: SearchIndex;
    let key: ChatKey;

    before(async () => {
      opened = await open();
      index = opened.index;
      await index.identity();
    });
    beforeEach(() => {
      key = { applicationToken: randomUUID(), chatNumber: 1 };
    });
    after(() => opened?.close());

    /** Indexes bodies as messages 1, 2, 3 ... of a chat. */
    async function fill(bodies: string[], chat = key): Promise<void> {
      const errors = await index.index(bodies.map((body, at) => document(chat, at + 1, body)));
      expect(errors).to.deep.equal(bodies.map(() => undefined));
      await opened.settle();
    }

    function find(query: string, page: { before?: number; limit?: number } = {}, chat = key) {
      const { before = INFINITY, limit = PAGE_SIZE_MAX } = page;
      return index.find({ ...chat, parts: parseQuery(query), before, limit });
    }

    /** What a plain scan finds, newest first. */
    function scan(query: string, bodies: string[]): number[] {
      const parts = parseQuery(query);
      const numbers = bodies.map((body, at) => (matches(foldText(body), parts) ? at + 1 : 0));
      return numbers.filter((number) => number > 0).reverse();
    }

    describe("find", () => {
      it("finds in every script what a plain scan finds, and no more", async () => {
        const bodies = samples.map((sample) => sample.body);
        await fill(bodies);
        for (const { hits, misses } of samples) {
          for (const query of [...hits, ...misses]) {
            expect(await find(query), query).to.deep.equal(scan(query, bodies));
          }
        }
      });

      it("finds what a plain scan finds in any texts of few letters", async function () {
        this.timeout(120_000);
        const letter = fc.constantFrom("a", "b", "A", "é", "👍", " ", '"', "ß", "か", "\uffff");
        const text = (minLength: number, maxLength: number) =>
          fc.string({ unit: letter, minLength, maxLength });
        const texts = fc.array(text(1, 9), { minLength: 1, maxLength: 30 });
        await fc.assert(
          fc.asyncProperty(texts, fc.array(text(1, 6), { maxLength: 8 }), async (bodies, asked) => {
            const chat = { applicationToken: randomUUID(), chatNumber: 1 };
            await fill(bodies, chat);
            for (const query of asked) {
              if (parseQuery(query).length === 0) continue;
              expect(await find(query, {}, chat), query).to.deep.equal(scan(query, bodies));
            }
          }),
          { numRuns: 30 },
        );
      });

      it("takes every sign of ASCII as text", async () => {
        const signs = Array.from({ length: 94 }, (_, at) => String.fromCharCode(33 + at));
        const bodies = signs.flatMap((sign) => [`x${sign}y`, `${sign}${sign} ${sign}`]);
        await fill(bodies);
        for (const sign of signs) {
          for (const part of [sign, sign + sign, `x${sign}y`, `${sign}␣${sign}`].map(foldText)) {
            const found = await index.find({ ...key, parts: [part], before: INFINITY, limit: 999 });
            const numbers = bodies.map((body, at) => (foldText(body).includes(part) ? at + 1 : 0));
            expect(found, part).to.deep.equal(numbers.filter((one) => one > 0).reverse());
          }
        }
      });

      it("gives pages, highest first, below a number", async () => {
        const bodies = Array.from({ length: 25 }, (_, at) => (at % 5 === 4 ? "no" : `yes ${at}`));
        await fill(bodies);
        const all = scan("yes", bodies);
        expect(await find("yes", { limit: 3 })).to.deep.equal([24, 23, 22]);
        expect(await find("yes", { before: 22, limit: 3 })).to.deep.equal([21, 19, 18]);
        expect(await find("y", { before: 22, limit: 3 })).to.deep.equal([21, 19, 18]);
        expect(await find("yes", { before: 2, limit: 3 })).to.deep.equal([1]);
        expect(await find("yes", { before: 1, limit: 3 })).to.deep.equal([]);
        expect(await find("yes", { before: 1_000_000 })).to.deep.equal(all);
      });

      it("keeps chats and applications apart", async () => {
        const others = [
          { ...key, chatNumber: 2 },
          { ...key, chatNumber: 11 },
          { applicationToken: randomUUID(), chatNumber: 1 },
        ];
        await fill(["shared words"]);
        for (const other of others) await fill(["nothing", "shared words", "words"], other);
        expect(await find("shared")).to.deep.equal([1]);
        expect(await find("words", {}, others[0])).to.deep.equal([3, 2]);
        expect(await find("w", {}, others[2])).to.deep.equal([3, 2]);
        expect(await find("shared", {}, { ...key, chatNumber: 3 })).to.deep.equal([]);
        expect(await find("s", {}, { ...key, applicationToken: randomUUID() })).to.deep.equal([]);
      });

      it("takes the largest body and the longest query", async function () {
        this.timeout(120_000);
        // One character of three bytes folds to eighteen: nothing becomes longer.
        const body = "ﷺ".repeat(5_461);
        const noise = Array.from({ length: 16_384 }, (_, at) => String((at * at * 7_919) % 10));
        await fill([body, noise.join(""), "short"]);
        const longest = "ﷺ".repeat(QUERY_CHARACTERS_MAX);
        expect(await find(longest)).to.deep.equal([1]);
        const cut = noise.slice(5_000, 5_000 + QUERY_CHARACTERS_MAX).join("");
        expect(await find(cut)).to.deep.equal([2]);
        const many = Array.from({ length: 128 }, (_, at) => String.fromCharCode(0x4e00 + at));
        expect(await find(many.join(" "))).to.deep.equal([]);
        const pairs = noise.slice(0, QUERY_CHARACTERS_MAX).join("").match(/.{3}/g)!.slice(0, 64);
        expect(await find(pairs.join(" "))).to.deep.equal([2]);
      });

      it("ends when it is told to", async () => {
        const signal = AbortSignal.abort(new Error("told to"));
        const query = { ...key, parts: ["a"], before: INFINITY, limit: 1, signal };
        const error = await index.find(query).catch((reason: unknown) => reason);
        expect(error).to.be.instanceOf(Error).with.property("message", "told to");
      });
    });

    describe("index", () => {
      it("changes nothing when it is told the same again", async () => {
        await fill(["one", "two"]);
        await fill(["one", "two"]);
        expect(await find("o")).to.deep.equal([2, 1]);
        expect(await index.extent(key)).to.deep.equal({ count: 2, lastNumber: 2 });
      });

      it("takes many documents of many chats at once, also one twice", async () => {
        const chats = Array.from({ length: 20 }, (_, at) => ({ ...key, chatNumber: at + 1 }));
        const documents = chats.flatMap((chat) =>
          Array.from({ length: 40 }, (_, at) => document(chat, at + 1, `text ${at}`)),
        );
        documents.push(documents[0]!, documents[799]!);
        const errors = await index.index(documents);
        expect(errors).to.deep.equal(documents.map(() => undefined));
        await opened.settle();
        for (const chat of chats) {
          expect(await index.extent(chat)).to.deep.equal({ count: 40, lastNumber: 40 });
        }
      });

      it("takes a great many short documents at once", async () => {
        const documents = Array.from({ length: 12_000 }, (_, at) => document(key, at + 1, "so"));
        const errors = await index.index(documents);
        expect(errors.filter((error) => error !== undefined)).to.deep.equal([]);
        await opened.settle();
        expect(await index.extent(key)).to.deep.equal({ count: 12_000, lastNumber: 12_000 });
        expect(await find("s", { before: 4_000, limit: 2 })).to.deep.equal([3_999, 3_998]);
        expect(await find("x")).to.deep.equal([]);
      });

      it("answers several callers at once", async () => {
        const numbers = Array.from({ length: 30 }, (_, at) => at + 1);
        await Promise.all(numbers.map((number) => index.index([document(key, number, "same")])));
        await opened.settle();
        expect(await find("same")).to.deep.equal(numbers.reverse());
        expect(await index.extent(key)).to.deep.equal({ count: 30, lastNumber: 30 });
      });

      it("takes nothing for an answer to nothing", async () => {
        expect(await index.index([])).to.deep.equal([]);
      });

      it("takes a body of which nothing can be found", async () => {
        await fill(["\u200b\u0301", "x"]);
        expect(await find("x")).to.deep.equal([2]);
        expect(await index.extent(key)).to.deep.equal({ count: 2, lastNumber: 2 });
      });
    });

    describe("extent and count", () => {
      it("say how many there are and how far they go", async () => {
        expect(await index.extent(key)).to.deep.equal({ count: 0, lastNumber: 0 });
        expect(await index.count(key, { firstNumber: 1, lastNumber: 9 })).to.equal(0);
        await index.index([2, 3, 70_000].map((number) => document(key, number, "text")));
        await fill(["other"], { ...key, chatNumber: 2 });
        expect(await index.extent(key)).to.deep.equal({ count: 3, lastNumber: 70_000 });
        expect(await index.count(key, { firstNumber: 1, lastNumber: 2 })).to.equal(1);
        expect(await index.count(key, { firstNumber: 2, lastNumber: 3 })).to.equal(2);
        expect(await index.count(key, { firstNumber: 4, lastNumber: 69_999 })).to.equal(0);
        const everything = { firstNumber: 1, lastNumber: Number.MAX_SAFE_INTEGER };
        expect(await index.count(key, everything)).to.equal(3);
        expect(await find("text")).to.deep.equal([70_000, 3, 2]);
      });

      it("are told together with what is found, also of a chat that has nothing", async () => {
        const query = { ...key, parts: ["text"], before: 70_000, limit: 1 };
        const nothing = { extent: { count: 0, lastNumber: 0 }, numbers: [] };
        expect(await index.findWithExtent(query)).to.deep.equal(nothing);
        await index.index([2, 3, 70_000].map((number) => document(key, number, "text")));
        await fill(["text"], { ...key, chatNumber: 2 });
        expect(await find("text")).to.have.length(3);
        const extent = { count: 3, lastNumber: 70_000 };
        expect(await index.findWithExtent(query)).to.deep.equal({ extent, numbers: [3] });
      });
    });

    describe("remove", () => {
      async function removeAll(what: Parameters<SearchIndex["remove"]>[0]): Promise<number> {
        let sum = 0;
        for (;;) {
          const removed = await index.remove(what);
          if (removed === 0) return sum;
          sum += removed;
          await opened.settle();
        }
      }

      it("takes away a chat's documents up to a number, and no others", async () => {
        await fill(["one", "two one", "three one", "four one"]);
        await fill(["one"], { ...key, chatNumber: 11 });
        expect(await removeAll({ ...key, throughNumber: 2 })).to.equal(2);
        expect(await find("one")).to.deep.equal([4, 3]);
        expect(await index.extent(key)).to.deep.equal({ count: 2, lastNumber: 4 });
        expect(await index.count(key, { firstNumber: 1, lastNumber: 3 })).to.equal(1);
        expect(await removeAll({ ...key, throughNumber: Number.MAX_SAFE_INTEGER })).to.equal(2);
        expect(await index.extent(key)).to.deep.equal({ count: 0, lastNumber: 0 });
        expect(await find("one", {}, { ...key, chatNumber: 11 })).to.deep.equal([1]);
      });

      it("takes away an application's documents, however many", async () => {
        const { applicationToken } = key;
        await fill(Array.from({ length: 2_500 }, () => "many"));
        await fill(["few", "few"], { ...key, chatNumber: 3 });
        const other = { ...key, applicationToken: randomUUID() };
        await fill(["few"], other);
        const what = { applicationToken, throughNumber: Number.MAX_SAFE_INTEGER };
        expect(await removeAll(what)).to.equal(2_502);
        expect(await index.extent(key)).to.deep.equal({ count: 0, lastNumber: 0 });
        expect(await find("few", {}, { ...key, chatNumber: 3 })).to.deep.equal([]);
        expect(await find("few", {}, other)).to.deep.equal([1]);
        expect(await index.remove({ ...other, chatNumber: 9, throughNumber: 9 })).to.equal(0);
      });
    });

    describe("identity", () => {
      it("stays the same, and is another one after the index was lost", async () => {
        const identity = await index.identity();
        await fill(["words"]);
        expect(await index.identity()).to.equal(identity);
        await opened.lose();
        const found = await Promise.all(Array.from({ length: 4 }, () => index.identity()));
        expect(new Set(found)).to.have.property("size", 1);
        expect(found[0]).to.not.equal(identity);
        expect(await index.extent(key)).to.deep.equal({ count: 0, lastNumber: 0 });
        expect(await find("words")).to.deep.equal([]);
        await fill(["words"]);
        expect(await find("words")).to.deep.equal([1]);
      });
    });

    versionsContract(() => opened);
    rebuildContract(() => opened);
  });
}

export function document(key: ChatKey, number: number, body: string): SearchDocument {
  return { ...key, number, body, version: 1 };
}
