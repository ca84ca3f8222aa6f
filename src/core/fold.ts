// Search compares folded text. Both stacks fold with this file and no engine analyses anything
// itself, so they cannot disagree. What an index holds was folded when it was written: whoever
// changes the result of foldText for any text must also raise FOLD_VERSION, which makes both stacks
// build their index anew.

export const FOLD_VERSION = 1;

/** Stands for a run of white space: a quoted part can hold it, and an engine does not cut there. */
export const STAND_IN = "␣";

/** What stands between words. JavaScript's \s lacks U+0085 and the separators U+001C to U+001F. */
export const WHITE_SPACE = "\\p{White_Space}\\u001c-\\u001f";

/** Those of them that ASCII has. */
const ASCII_WHITE_SPACE = "\\t-\\r\\u001c-\\u0020";

const SPACES = new RegExp(`[${WHITE_SPACE}${STAND_IN}]+`, "gu");
const ASCII_SPACES = new RegExp(`[${ASCII_WHITE_SPACE}]+`, "g");

/**
 * What readers ignore, looked for in NFKD. Default-ignorable code points (soft hyphen, zero-width
 * spaces and joiners, variation selectors, Hangul fillers) and tatweel; then combining diacritics:
 * the blocks for Latin, Greek and Cyrillic, every Arabic and Hebrew point. Other scripts' marks are
 * letters to their readers (Indic and Thai vowels, kana voicing) and stay.
 */
const UNSEEN = "\\p{Default_Ignorable_Code_Point}\\u0640";
const DIACRITICS = "\\u0300-\\u0305\\u0307-\\u036f\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\ufe20-\\ufe2f";
const POINTS = "\\p{Script=Arabic}\\u064b-\\u0655\\u0670\\p{Script=Hebrew}";
const BREVE = "\\u0306";

/** The breve stays where it makes й of и, once: й is a letter of its own, not и with an accent. */
const IGNORED = new RegExp(
  `[${UNSEEN}[[${DIACRITICS}${POINTS}]&&\\p{M}]]` +
    `|(?<![Ии][[\\p{M}${UNSEEN}]--${BREVE}]*)${BREVE}`,
  "gv",
);

/**
 * What may melt into the character before it: marks, what is ignored, vowels and finals of Hangul
 * and Kirat Rai, and whatever begins with one of these in NFKD (the long tail of the list: Thai and
 * Lao AM, jamo and Arabic marks in compatibility forms, half-width voicing). A run is a code point
 * with all of these behind it: a text folded run by run gives the same as one folded whole.
 */
const MELTING =
  `\\p{M}${UNSEEN}\\u0e33\\u0eb3\\u1160-\\u11ff\\u{16d63}-\\u{16d6a}` +
  "\\u3133\\u3135\\u3136\\u313a-\\u313f\\u314f-\\u3163\\u3167-\\u316d\\u316f\\u3170\\u3182\\u3183" +
  "\\u3187-\\u318e\\ufcf2-\\ufcf4\\ufe71\\ufe77\\ufe79\\ufe7b\\ufe7d\\ufe7f\\uff9e\\uff9f\\uffa3" +
  "\\uffa5\\uffa6\\uffaa-\\uffaf\\uffc2-\\uffc7\\uffca-\\uffcf\\uffd2-\\uffd7\\uffda-\\uffdc";
const RUN = new RegExp(`[^][${MELTING}]*`, "gu");

const ASCII = /^[\0-\x7f]*$/;

/** Folds a text for comparison; folding again changes nothing. Half a surrogate pair is U+FFFD. */
export function foldText(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase().replace(ASCII_SPACES, STAND_IN);
  return foldCase(text.toWellFormed().normalize("NFKD").replace(IGNORED, ""))
    .replaceAll("ٱ", "ا")
    .replace(SPACES, STAND_IN)
    .normalize("NFC");
}

/**
 * Full case folding. Upper case first brings together what lower case alone keeps apart (ſ and s, ß
 * and SS); two letters are left over: ẞ, which is its own upper case, and σ at the end of a word.
 * Unlike in Unicode's table, which is for no language, ı is i: in Turkish I is the capital of ı.
 */
function foldCase(text: string): string {
  return text.toUpperCase().toLowerCase().replaceAll("ß", "ss").replaceAll("ς", "σ");
}

/** A folded text and where it came from. */
export interface Folded {
  text: string;
  /** Undefined where each character of the original stands for itself, as plain text does. */
  origin: Origin | undefined;
}

/** For each UTF-16 unit of a folded text, what in the original it comes from. */
export interface Origin {
  /** Where its characters begin. */
  starts: number[];
  /** ... and where they end, with the ignored marks that belong to them. */
  ends: number[];
}

/**
 * Folds a text and keeps the way back. What folds as a whole (an accented letter, a ligature, a run
 * of spaces) comes back as a whole: each unit of its fold names all of it.
 */
export function foldWithMap(text: string): Folded {
  const plain = ASCII.test(text) ? foldText(text) : "";
  // It is not where a run of spaces became shorter.
  if (plain.length === text.length) return { text: plain, origin: undefined };
  const starts: number[] = [];
  const ends: number[] = [];
  let folded = "";
  let end = 0;
  for (const [run] of text.matchAll(RUN)) {
    let start = end;
    end += run.length;
    let piece = foldText(run);
    if (piece.startsWith(STAND_IN) && folded.endsWith(STAND_IN)) {
      // The run of spaces goes on, and what melts into its last one is part of it.
      start = starts[starts.length - 1] ?? start;
      ends[ends.length - 1] = end;
      piece = piece.slice(STAND_IN.length);
    }
    for (let unit = 0; unit < piece.length; unit++) {
      starts.push(start);
      ends.push(end);
    }
    folded += piece;
  }
  return { text: folded, origin: { starts, ends } };
}

/** How many characters a piece has. A shorter part of a query is looked for another way. */
export const PIECE_CHARACTERS = 3;

/**
 * A folded text as an index of words can hold it: the three characters that begin at each position,
 * with spaces between. The last two positions begin shorter pieces, so that every position has one,
 * and a part of one or two characters is the beginning of a piece wherever it occurs.
 */
export function pieces(folded: string): string {
  if (!SURROGATE.test(folded)) return piecesOfUnits(folded);
  const characters = [...folded];
  return characters
    .map((one, at) => one + (characters[at + 1] ?? "") + (characters[at + 2] ?? ""))
    .join(" ");
}

const SURROGATE = /[\ud800-\udfff]/;
const SPACE = 32;

/** The same where each character is one UTF-16 unit, without a string for every piece. */
function piecesOfUnits(folded: string): string {
  const { length } = folded;
  const bytes = Buffer.allocUnsafe(8 * length);
  let end = 0;
  for (let at = 0; at < length; at++) {
    const next = Math.min(at + PIECE_CHARACTERS, length);
    for (let unit = at; unit < next; unit++) {
      const code = folded.charCodeAt(unit);
      bytes[end++] = code & 0xff;
      bytes[end++] = code >> 8;
    }
    bytes[end++] = SPACE;
    bytes[end++] = 0;
  }
  // Without the last space, and a text without characters has none.
  return bytes.toString("utf16le", 0, Math.max(0, end - 2));
}

/**
 * The pieces of a part of a query, to be found one after the other: the full ones only, because
 * what follows the part in a message is unknown. Undefined where it is shorter than a piece.
 */
export function phraseOf(part: string): string | undefined {
  const characters = [...part];
  if (characters.length < PIECE_CHARACTERS) return undefined;
  const last = characters.length - PIECE_CHARACTERS;
  return pieces(part)
    .split(" ")
    .slice(0, last + 1)
    .join(" ");
}
