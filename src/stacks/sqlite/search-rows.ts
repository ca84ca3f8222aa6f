import { PIECE_CHARACTERS } from "../../core/fold.ts";
import type { SearchDocument } from "../../core/ports.ts";

/** Numbers of one chat have 32 bits of a rowid; the id of the chat has the rest. */
const NUMBER_BITS = 32n;
export const NUMBER_MAX = 2 ** 32 - 1;

export const NUMBER = `rowid & ${NUMBER_MAX} as number`;

/** Without the cast a number would be bound as a real, which FTS5 takes for no bound at all. */
export const ROWID = "cast(? as integer)";

/** A rowid as text: it may be more than a JavaScript number can be. */
export function rowidOf(chatId: number, number: number): string {
  return String((BigInt(chatId) << NUMBER_BITS) | BigInt(number));
}

export function errorOf({ number }: SearchDocument): Error | undefined {
  return number <= NUMBER_MAX ? undefined : new Error(`number ${number} is above ${NUMBER_MAX}`);
}

/** What is written in one go. A statement takes 32,766 values, and text keeps the thread busy. */
const SLICE_DOCUMENTS_MAX = 1_000;
const SLICE_CHARACTERS_MAX = 256 * 1024;

export function slicesOf(documents: SearchDocument[]): SearchDocument[][] {
  const slices: SearchDocument[][] = [];
  let slice: SearchDocument[] = [];
  let characters = 0;
  for (const document of documents) {
    characters += document.body.length;
    const full = characters > SLICE_CHARACTERS_MAX || slice.length === SLICE_DOCUMENTS_MAX;
    if (slices.length === 0 || full) {
      slice = [];
      slices.push(slice);
      characters = document.body.length;
    }
    slice.push(document);
  }
  return slices;
}

/**
 * The condition that a row has every part. Parts of three characters or more are looked up, as
 * quoted strings in which nothing has a meaning; then every row that was found is looked into, for
 * the shorter parts, and because the index takes some characters (U+FFFE, U+FFFF) for others. It
 * reads no further than a NUL, so a part that has one is not looked up. `scans` says that rows may
 * have to be looked into in vain.
 */
export function conditionOf(parts: string[]): {
  condition: string;
  values: string[];
  scans: boolean;
} {
  const indexed = parts.filter(
    (part) => [...part].length >= PIECE_CHARACTERS && !part.includes("\0"),
  );
  const looked = indexed.map((part) => `"${part.replaceAll('"', '""')}"`).join(" AND ");
  const contains = parts.map(() => "instr(folded, ?) > 0").join(" and ");
  const scans = indexed.length < parts.length;
  if (looked === "") return { condition: contains, values: parts, scans };
  return { condition: `message_search match ? and ${contains}`, values: [looked, ...parts], scans };
}
