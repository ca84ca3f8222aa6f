import { existsSync, readFileSync } from "node:fs";
import { expect } from "chai";
import fc from "fast-check";
import { foldText } from "../../src/core/fold.ts";
import { QUERY_CHARACTERS_MAX } from "../../src/core/limits.ts";
import { matches, parseQuery, segments } from "../../src/core/query.ts";
import { samples } from "../support/samples.ts";

function finds(query: string, body: string): boolean {
  return matches(foldText(body), parseQuery(query));
}

/** The body with its matched parts in brackets. */
function marked(body: string, query: string): string {
  return segments(body, parseQuery(query))
    .map(({ text, match }) => (match ? `[${text}]` : text))
    .join("");
}

describe("parseQuery", () => {
  const cases: [query: string, ...parts: string[]][] = [
    ["hello", "hello"],
    ["  Hello\tCAFÉ\u3000x\u001cy ", "hello", "cafe", "x", "y"],
    ["one two one ONE", "one", "two"],
    ['"hello  world" x', "hello␣world", "x"],
    ['" hello "', "␣hello␣"],
    ['"a b"c', "a␣b", "c"],
    ['"a b""c d"', "a␣b", "c␣d"],
    ['say"so now', 'say"so', "now"],
    ['5" disk', '5"', "disk"],
    ['x "hello wor', "x", "hello␣wor"],
    ['x "', "x", '"'],
    ["“hello world”", "“hello", "world”"],
    ["＂a b＂", '"a', 'b"'],
    ["a\u200bb", "ab"],
    ["don´t", "don␣t"],
    [""],
    [" \t\u3000"],
    ['""'],
    ['"" "\u200b" \u0301 \u0640'],
  ];
  for (const [query, ...parts] of cases) {
    it(`reads ${JSON.stringify(query)}`, () => {
      expect(parseQuery(query)).to.deep.equal(parts);
    });
  }

  it("has at most half as many parts as the query may have characters", () => {
    const letters = Array.from({ length: 128 }, (_, at) => String.fromCodePoint(0x4e00 + at));
    expect(parseQuery(letters.join(" "))).to.have.lengthOf(128);
    const query = fc.string({
      unit: fc.constantFrom("a", "b", "c", " ", '"', "ß", "\u0301", "ﷺ"),
      maxLength: QUERY_CHARACTERS_MAX,
    });
    fc.assert(
      fc.property(query, (text) => {
        const parts = parseQuery(text);
        expect(parts.length).to.be.at.most(QUERY_CHARACTERS_MAX / 2);
        expect(parts).not.to.include("");
        expect(parts.map(foldText)).to.deep.equal(parts);
      }),
    );
  });
});

describe("a query", () => {
  for (const { what, body, hits, misses } of samples) {
    it(`finds and misses as it should: ${what}`, () => {
      for (const query of hits) expect(finds(query, body), `${query} is missed`).to.equal(true);
      for (const query of misses) expect(finds(query, body), `${query} is found`).to.equal(false);
    });
  }

  it("finds a body by any cut of it that does not begin or end within a character", () => {
    for (const { body } of samples) {
      const graphemes = [...new Intl.Segmenter("und").segment(body)].map(({ segment }) => segment);
      for (let at = 0; at < graphemes.length; at++) {
        const cut = graphemes.slice(at, at + 5).join("");
        if (!cut.includes('"')) expect(finds(`"${cut}"`, body), cut).to.equal(true);
      }
    }
  });
});

describe("segments", () => {
  const cases: [body: string, query: string, expected: string][] = [
    ["Hello World", "o", "Hell[o] W[o]rld"],
    ["Hello World", '"o w"', "Hell[o W]orld"],
    ["Hello World", "hello world", "[Hello] [World]"],
    ["banana", "ana", "b[anana]"],
    ["abcd", "ab bc", "[abc]d"],
    ["abcd", "ab cd", "[abcd]"],
    ["nothing", "x", "nothing"],
    ["Die Straße", "ras", "Die St[raß]e"],
    ["Die Straße", "se", "Die Stra[ße]"],
    ["Cafe\u0301s", "cafe", "[Cafe\u0301]s"],
    ["a \t\n b", '"a b"', "[a \t\n b]"],
    ["so\u00adft", "o", "s[o\u00ad]ft"],
    ["\u200bsoft", "s", "\u200b[s]oft"],
    ["ﷺ!", "الله", "[ﷺ]!"],
    ["한국어", "국", "한[국]어"],
    ["किताब", "त", "कि[ता]ब"],
    ["क्षमा", "ष", "[क्ष]मा"],
    ["น้ำเย็น", "น", "[น้ำ]เย็[น]"],
    ["👨\u200d👩\u200d👧!", "👩", "[👨\u200d👩\u200d👧]!"],
    ["🇩🇪🇫🇷", "🇪", "[🇩🇪]🇫🇷"],
    ["👍🏽👍", "👍", "[👍🏽👍]"],
    ["a\r\nb", '" b"', "a[\r\nb]"],
    ["1\ufe0f\u20e3 2", "1", "[1\ufe0f\u20e3] 2"],
    ["\ud800a", "a", "\ud800[a]"],
  ];
  for (const [body, query, expected] of cases) {
    it(`marks ${JSON.stringify(query)} in ${JSON.stringify(body)}`, () => {
      expect(marked(body, query)).to.equal(expected);
    });
  }

  it("has nothing of nothing", () => {
    expect(segments("", ["a"])).to.deep.equal([]);
  });

  it("are the body in a row, in turns, whole graphemes, marked where something is found", () => {
    const unit = fc.constantFrom(..."aAbß \té\u0301i\u200d👩🇩🇪कष\u094dि\u0e33ｶﾞﷺ", "\ud800", "\r\n");
    const text = fc.array(unit, { maxLength: 10 }).map((all) => all.join(""));
    const query = fc.array(unit, { minLength: 1, maxLength: 4 }).map((all) => all.join(""));
    fc.assert(
      fc.property(text, query, (body, asked) => {
        const parts = parseQuery(asked);
        const found = segments(body, parts);
        expect(found.map((segment) => segment.text).join("")).to.equal(body);
        const starts = new Set([...new Intl.Segmenter("und").segment(body)].map((s) => s.index));
        let at = 0;
        found.forEach((segment, index) => {
          expect(segment.text).not.to.equal("");
          if (index > 0) expect(segment.match).to.equal(!found[index - 1]!.match);
          expect(starts.has(at), `cut at ${at} of ${JSON.stringify(body)}`).to.equal(true);
          at += segment.text.length;
        });
        const any = parts.some((part) => foldText(body).includes(part));
        expect(found.some(({ match }) => match)).to.equal(any);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe("search over the shared data", () => {
  const folder = new URL("../../../shared/data/", import.meta.url);
  for (const file of ["conversations.jsonl", "scripts.jsonl"]) {
    it(`finds each body of ${file} by its words, and marks them`, function () {
      this.timeout(60_000);
      const url = new URL(file, folder);
      if (!existsSync(url)) this.skip();
      for (const line of readFileSync(url, "utf8").trim().split("\n")) {
        const { body } = JSON.parse(line) as { body: string };
        const folded = foldText(body);
        expect(foldText(folded)).to.equal(folded);
        const words = body.split(/\s+/u).filter((word) => word !== "" && !word.includes('"'));
        const query = words.slice(0, 20).join(" ");
        if (query === "") continue;
        expect(finds(query, body), query).to.equal(true);
        const found = segments(body, parseQuery(query));
        expect(found.map(({ text }) => text).join("")).to.equal(body);
        expect(found.some(({ match }) => match)).to.equal(true);
      }
    });
  }
});
