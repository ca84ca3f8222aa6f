import type { SearchMessagesResponse_Segment as Segment } from "../../gen/parley/v1/message.ts";
import { foldText, foldWithMap, WHITE_SPACE } from "./fold.ts";

/**
 * A quoted part, a quoted part that is never closed, or a word; in this order. Only U+0022 at the
 * beginning of a word opens a quotation, so `5"` and `say"so` are words. A quotation that is not
 * closed goes to the end of the query, and a `"` with nothing behind it is a word. Typographic
 * quotation marks are text: they are what a message has in it, and half of a pair means nothing.
 */
const PARTS = new RegExp(
  `"([^"]*)"|"(?=[${WHITE_SPACE}]*[^${WHITE_SPACE}])([^"]+)$|([^${WHITE_SPACE}]+)`,
  "gu",
);

const graphemes = new Intl.Segmenter("und", { granularity: "grapheme" });

/**
 * The folded parts of a query, each once, in its order. A message matches where it has them all.
 * Empty where nothing remains. Every part takes a character and every two a space between them, or
 * quotation marks: the bound of a query is a bound of its parts.
 */
export function parseQuery(query: string): string[] {
  const parts = new Set<string>();
  for (const [, quoted, open, word] of query.matchAll(PARTS)) {
    const part = foldText(quoted ?? open ?? word ?? "");
    if (part !== "") parts.add(part);
  }
  return [...parts];
}

/** Says whether a folded body has every part: what "found" means, in one line. */
export function matches(foldedBody: string, parts: string[]): boolean {
  return parts.every((part) => foldedBody.includes(part));
}

/**
 * Cuts a body where a match begins or ends. The texts in a row are the body, unit by unit; a
 * character that a reader sees as one is never cut, even where only a part of it was looked for.
 */
export function segments(body: string, parts: string[]): Segment[] {
  const marked = markMatches(body, parts);
  const found: Segment[] = [];
  let start = 0;
  while (start < body.length) {
    const match = marked[start] === 1;
    const next = marked.indexOf(match ? 0 : 1, start);
    const end = next === -1 ? body.length : next;
    found.push({ text: body.slice(start, end), match });
    start = end;
  }
  return found;
}

/** Says of each UTF-16 unit of the body, with 1 or 0, whether it belongs to a match. */
function markMatches(body: string, parts: string[]): Uint8Array {
  const { text, origin } = foldWithMap(body);
  const marked = new Uint8Array(body.length);
  for (const part of parts) {
    // Matches that overlap count, too: "ana" is in "banana" twice. What is marked is not marked
    // again, since a thousand matches can each name the whole of a run of marks.
    let done = 0;
    for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + 1)) {
      const last = at + part.length - 1;
      const [start, end] =
        origin === undefined ? [at, last + 1] : [origin.starts[at]!, origin.ends[last]!];
      marked.fill(1, Math.max(done, start), end);
      done = end;
    }
  }
  return widenToGraphemes(body, marked);
}

/** Marks all of each grapheme (a family of emoji, a flag, an Indic cluster) marked in part. */
function widenToGraphemes(body: string, marked: Uint8Array): Uint8Array {
  // Plain text is never asked for its graphemes, and to prepare that takes as long as all the rest.
  let seen: Intl.Segments | undefined;
  for (let at = 1; at < body.length; at++) {
    if (marked[at] === marked[at - 1] || isAscii(body, at)) continue;
    seen ??= graphemes.segment(body);
    const whole = seen.containing(at);
    if (whole !== undefined && whole.index < at) {
      marked.fill(1, whole.index, whole.index + whole.segment.length);
      at = whole.index + whole.segment.length - 1;
    }
  }
  return marked;
}

/** Nothing is cut between two units of ASCII: a CR LF was one run of white space and is whole. */
function isAscii(body: string, at: number): boolean {
  return body.charCodeAt(at) < 0x80 && body.charCodeAt(at - 1) < 0x80;
}
