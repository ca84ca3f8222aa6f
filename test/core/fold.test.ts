import { expect } from "chai";
import fc from "fast-check";
import { foldText, foldWithMap, phraseOf, pieces, STAND_IN } from "../../src/core/fold.ts";
import { samples } from "../support/samples.ts";

const CODE_POINTS = 0x110000;

/** What may be next to one another in a text so that folding by parts goes wrong. */
const AWKWARD = [
  ..."aIßẞςΣıи й\u0306\u0301\u0323\u094d\u0345\u034f\u00ad\u200b\u200d\ufe0f\u0640\u0654\u064e",
  ..."\u0671\u0627\u05bc\u05e9\u304b\u3099\uff76\uff9e\u1112\u1161\u11ab하ㄱㅏㄳ\u3164\u115f",
  ..."\u0915\u093c\u09c7\u09be\u09d7\u{16d63}\u{16d67}\u{16d69}",
  ..."\u0e19\u0e33\u00b4\u309b\ufdfa\ufe70\ufe71\u037a",
  ..."\u0085\u001c\u3000\u2423\t\r\n\u180e\u0000👩🇩🇪\u{e0001}\u{1d165}\u{1d16e}\u0344\u0340",
  "\ud800",
  "\udc00",
];

const awkwardText = fc
  .array(fc.oneof(fc.constantFrom(...AWKWARD), fc.string({ unit: "binary", maxLength: 2 })), {
    maxLength: 12,
  })
  .map((units) => units.join(""));

const DIACRITIC = /[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\ufe20-\ufe2f]/;
const POINT = /[\p{Script=Arabic}\p{Script=Hebrew}\u064b-\u0655\u0670]/u;

function isIgnored(one: string): boolean {
  if (/\p{Default_Ignorable_Code_Point}/u.test(one) || one === "\u0640") return true;
  return /\p{M}/u.test(one) && (DIACRITIC.test(one) || POINT.test(one));
}

/** White space for JavaScript, for Unicode or for Java, where Elasticsearch's tokenizer cuts. */
function isSpace(one: string): boolean {
  return /\s|\p{White_Space}/u.test(one) || (one >= "\u001c" && one <= "\u001f");
}

/** The definition, one character after the other and in no hurry. */
function foldPlainly(text: string): string {
  const kept: string[] = [];
  for (const one of text.toWellFormed().normalize("NFKD")) {
    const letter = kept.findLastIndex((other) => !/\p{M}/u.test(other));
    const isShortI = /[иИ]/.test(kept[letter] ?? "") && !kept.includes("\u0306", letter);
    if (isIgnored(one) && !(one === "\u0306" && isShortI)) continue;
    if (isSpace(one) || one === STAND_IN) {
      if (kept.at(-1) !== STAND_IN) kept.push(STAND_IN);
    } else if (one === "\u0671") kept.push("\u0627");
    else if (one === "ẞ") kept.push("ss");
    else kept.push(one.toUpperCase().toLowerCase().replace("ς", "σ"));
  }
  return kept.join("").normalize("NFC");
}

describe("foldText", () => {
  const same: [what: string, ...texts: string[]][] = [
    ["case", "cafe", "CAFE", "Cafe"],
    ["accents", "cafe", "café", "cafe\u0301", "CAFÉ"],
    ["sharp s", "strasse", "Straße", "STRASSE", "STRAẞE"],
    ["long s and ligatures", "ſt", "st", "ﬆ", "ﬅ"],
    ["sigma", "ελλασ", "Ελλάς", "ΕΛΛΆΣ"],
    ["iota subscript", "ᾳ", "ᾼ", "α"],
    ["i with and without a dot", "i", "I", "İ", "ı"],
    ["Kelvin, Ångström, micro", "kaμ", "KÅµ", "\u212a\u212b\u00b5"],
    ["width", "abc!１", "ＡＢＣ！1"],
    ["short i", "й", "Й", "и\u0306", "И\u0306", "и\u0323\u0306", "и\u200d\u0306\u0306"],
    ["other Cyrillic marks", "и е у і", "ѝ ё ў ї"],
    ["Arabic vowel signs and tatweel", "كتاب", "كِتَابٌ", "كـتـاب"],
    ["forms of alef", "ا", "أ", "إ", "آ", "ٱ", "\ufb50"],
    ["Hebrew points", "שלום", "שָׁלוֹם", "\ufb2aלום"],
    ["kana widths", "ガ", "ｶﾞ", "カ\u3099"],
    ["Hangul", "한", "\u1112\u1161\u11ab"],
    ["default-ignorables", "ab", "a\u00adb", "a\u200bb", "\ufeffab", "a\u{e0061}b", "a\u3164b"],
    ["white space", "a b", "a \t\r\nb", "a\u00a0b", "a\u0085b", "a\u001fb", "a\u3000 b", "a␣b"],
    ["white space at the ends", " a ", "\n\na\u2003"],
    ["spaces around what is ignored", "a b", "a \u200b b", "a \u0301b"],
    ["half a surrogate pair", "a\ufffd", "a\ud800", "a\udfff"],
  ];
  for (const [what, ...texts] of same) {
    it(`makes one of ${what}`, () => {
      expect(new Set(texts.map(foldText))).to.have.property("size", 1);
    });
  }

  const different: [what: string, ...texts: string[]][] = [
    ["short i", "й", "и"],
    ["kana voicing", "が", "か", "カ"],
    ["Indic vowels", "कि", "क", "की"],
    ["Thai vowels and tones", "น้ำ", "นำ", "น"],
    ["letters with strokes", "ł", "l", "ø", "o"],
    ["Hangul syllables", "한", "하", "ᄒ"],
    ["a space and none", "a b", "ab"],
  ];
  for (const [what, ...texts] of different) {
    it(`keeps apart ${what}`, () => {
      expect(new Set(texts.map(foldText))).to.have.property("size", texts.length);
    });
  }

  it("is what it says it is", () => {
    expect(foldText("  Die\tStraße ")).to.equal("␣die␣strasse␣");
    expect(foldText("\u200b\u0301\u0640")).to.equal("");
  });

  it("is stable, and leaves nothing to fold, for every code point", function () {
    this.timeout(60_000);
    // Cherokee's small letters fold to capitals in Unicode's table; here they stay small.
    const unfolded = /[[\p{CWCF}\p{DI}\p{White_Space}]--\p{Script=Cherokee}]/v;
    for (let code = 0; code < CODE_POINTS; code++) {
      const one = String.fromCodePoint(code);
      const folded = foldText(one);
      if (/[[\p{Cn}\p{Co}]--\p{DI}]/v.test(one)) {
        if (folded !== one) expect.fail(`U+${code.toString(16)} is not assigned but folds`);
        continue;
      }
      // The iota subscript is a mark that goes, but as a capital it is a letter of its own.
      const cased = one.normalize("NFD").replace("\u0345", "");
      const good =
        foldText(folded) === folded &&
        folded === foldPlainly(one) &&
        folded === foldText(one.normalize("NFD")) &&
        folded === foldText(cased.toLowerCase()) &&
        folded === foldText(cased.toUpperCase()) &&
        !unfolded.test(folded);
      if (!good) expect.fail(`U+${code.toString(16)} folds to ${JSON.stringify(folded)}`);
    }
  });

  it("is idempotent and does as the definition says, for any text", () => {
    fc.assert(
      fc.property(awkwardText, (text) => {
        const folded = foldText(text);
        expect(foldText(folded)).to.equal(folded);
        expect(folded).to.equal(foldPlainly(text));
        expect(folded.isWellFormed()).to.equal(true);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe("foldWithMap", () => {
  it("folds a text by parts as it is folded whole", () => {
    fc.assert(
      fc.property(awkwardText, (text) => {
        expect(foldWithMap(text).text).to.equal(foldText(text));
      }),
      { numRuns: 5_000 },
    );
  });

  it("does so next to every code point", function () {
    this.timeout(60_000);
    // What is unassigned, Han, Tangut or a syllable of Hangul folds to itself, whatever is near.
    const inert = /[\p{Cn}\p{Co}\p{Script=Han}\p{Script=Tangut}가-힣]/u;
    const near = ["x", "и", "\u0306", "か", "\u3099", "하", "\u11ab", "\u1112", "\u1161", " ", "क"];
    for (let code = 0; code < CODE_POINTS; code++) {
      const one = String.fromCodePoint(code);
      if (inert.test(one)) continue;
      const text = near.join(one) + one;
      if (foldWithMap(text).text !== foldText(text)) expect.fail(`U+${code.toString(16)}`);
    }
  });

  it("says where each unit came from, in order, without cutting what folds as a whole", () => {
    fc.assert(
      fc.property(awkwardText, fc.nat(), fc.nat(), (text, one, other) => {
        const { text: folded, origin } = foldWithMap(text);
        const own = Array.from(folded, (_, at) => at);
        const { starts, ends } = origin ?? { starts: own, ends: own.map((at) => at + 1) };
        expect(starts).to.have.lengthOf(folded.length);
        expect(ends).to.have.lengthOf(folded.length);
        if (folded === "") return;
        const [a, b] = [one % folded.length, other % folded.length];
        const [first, last] = [Math.min(a, b), Math.max(a, b)];
        expect(starts[first]).to.be.at.most(starts[last]!).and.at.least(0);
        expect(ends[first]).to.be.at.most(ends[last]!).and.at.most(text.length);
        const source = text.slice(starts[first], ends[last]);
        expect(foldText(source)).to.include(folded.slice(first, last + 1));
      }),
      { numRuns: 5_000 },
    );
  });

  it("gives ignored marks to what they stand on, and an expansion its one character", () => {
    const { text, origin } = foldWithMap("e\u0301\u200dß \t\u3000x");
    expect(text).to.equal("ess␣x");
    expect(origin).to.deep.equal({ starts: [0, 3, 3, 4, 7], ends: [3, 4, 4, 7, 8] });
  });
});

describe("pieces", () => {
  it("begin at every position, the last two shorter", () => {
    expect(pieces("")).to.equal("");
    expect(pieces("a")).to.equal("a");
    expect(pieces("ab")).to.equal("ab b");
    expect(pieces("a␣b👍c")).to.equal("a␣b ␣b👍 b👍c 👍c c");
  });

  it("are full in a phrase, which a part shorter than a piece does not have", () => {
    expect(phraseOf("abcd")).to.equal("abc bcd");
    expect(phraseOf("abc")).to.equal("abc");
    expect(phraseOf("👍👍👍")).to.equal("👍👍👍");
    expect(phraseOf("👍👍")).to.equal(undefined);
  });

  it("find a part where and only where the text has it", () => {
    const letter = fc.constantFrom("a", "b", "👍", STAND_IN);
    const text = fc.array(letter, { minLength: 1, maxLength: 12 }).map((all) => all.join(""));
    fc.assert(
      fc.property(text, text, (body, part) => {
        const phrase = phraseOf(part);
        const found =
          phrase === undefined
            ? pieces(body)
                .split(" ")
                .some((piece) => piece.startsWith(part))
            : ` ${pieces(body)} `.includes(` ${phrase} `);
        expect(found).to.equal(body.includes(part));
      }),
      { numRuns: 2_000 },
    );
  });

  it("hold nothing that an analyzer would cut at, whatever the text", () => {
    for (const { body } of samples) expect([...foldText(body)].some(isSpace)).to.equal(false);
    for (let code = 0; code < CODE_POINTS; code++) {
      if ([...foldText(String.fromCodePoint(code))].some(isSpace)) {
        expect.fail(`U+${code.toString(16)}`);
      }
    }
  });
});
