/** The body of the call that ends a run in each chat. */
export const LAST = "last";

/** What a call says: some say one thing, others many at once. */
export function bodiesOf(id: string): string[] {
  const size = id.startsWith(LAST) ? 1 : 1 + (Number.parseInt(id[0]!, 16) % 4);
  return size === 1 ? [id] : Array.from({ length: size }, (_, at) => `${id}/${at}`);
}
