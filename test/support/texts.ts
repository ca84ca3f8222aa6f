import fc from "fast-check";

/** Texts that something on the way to a row and back may not like; all of them are legal bodies. */
export const AWKWARD_TEXTS = [
  " leading and trailing ",
  "\u202eright to left\u202c \u200f\u061c\u2066x\u2069",
  "👩‍👩‍👧‍👦😀🇩🇪🏴\u{e0067}\u{e007f}",
  "\ufffd\ufeff\ufffe\uffff\u{1ffff}\u{10ffff}\ufdd0",
  "\u0378\u{2fe0}\u{e0080}",
  "\ufdfa\ufdfb\u3300\u{1f250}",
  `a${"\u0301\u0323".repeat(40)}`,
  `क${"ि".repeat(40)}`,
  "и\u0306й\u0e33\u1112\u1161\u11ab",
  "\u0001\u0007\u001b[31m\u007f\u0085\u2028\r\n\t\v",
  "'; DROP TABLE messages; -- \\' \\\" ` % _ $1 ? :x",
  "%s %n {{7*7}} #{x} <script> \\u0000 &#0;",
  "AND OR NOT NEAR(a b) * ^ ~ \" ' ( ) { } [ ] :",
  '{"v":1,"number":999}',
  "parley:ledger APP-1 bq:parley:jobs",
];

const PLANES = 17;

/** A code point of any plane: assigned or not, non-characters too; no half of a pair and no NUL. */
export const anyCharacter: fc.Arbitrary<string> = fc
  .tuple(fc.nat(PLANES - 1), fc.nat(0xffff))
  .map(([plane, low]) => plane * 0x10000 + low)
  .filter((point) => point !== 0 && (point < 0xd800 || point > 0xdfff))
  .map((point) => String.fromCodePoint(point));

/** A text of one to about a hundred code points that is a legal body. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.array(anyCharacter, { minLength: 1, maxLength: 60 }).map((all) => all.join("")),
  fc.constantFrom(...AWKWARD_TEXTS),
  fc
    .tuple(anyCharacter, fc.constantFrom(..."\u0301\u0323\u0306\u3099\u093f\u200d\ufe0f"))
    .map(([one, mark]) => one + mark.repeat(30)),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }).filter((text) => text !== ""),
);
