/** What a caller keeps with a chat or message. None are the same as an empty map. */
export type Attributes = Readonly<Record<string, string>>;

/** In one order, so that equal maps are written as equal texts; undefined for none. */
export function sortedAttributes(attributes: Attributes | undefined): Attributes | undefined {
  const entries = Object.entries(attributes ?? {});
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** As they stand in a row; undefined for none. */
export function textOfAttributes(attributes: Attributes | undefined): string | undefined {
  const sorted = sortedAttributes(attributes);
  return sorted && JSON.stringify(sorted);
}

/** What textOfAttributes made; NULL for none. */
export function parseAttributes(text: string | null | undefined): Record<string, string> {
  return text == null ? {} : (JSON.parse(text) as Record<string, string>);
}

/** What they take in an answer, at the most. */
export function bytesOfAttributes(attributes: Attributes): number {
  let bytes = 0;
  for (const [key, value] of Object.entries(attributes)) {
    bytes += 12 + Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  return bytes;
}
