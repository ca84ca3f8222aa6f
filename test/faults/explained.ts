import type { ChatKey, Stack } from "../../src/core/ports.ts";

/** What is wrong with the numbers of a chat, each of which must be a row or a void. */
export async function findUnexplained(
  { store, ledger }: Stack,
  chat: ChatKey,
  given: {
    last: number;
    /** The request id that each number was answered for; it begins with the message's body. */
    answered: Map<number, string>;
    /** True where no number may be void. */
    skipsNone: boolean;
  },
): Promise<string[]> {
  const found: string[] = [];
  const numbers = Array.from({ length: given.last }, (_, index) => index + 1);
  const rows = new Map<number, string>();
  for (let from = 0; from < given.last; from += 1_000) {
    const some = await store.findMessages(chat, numbers.slice(from, from + 1_000));
    for (const row of some) rows.set(row.number, row.body);
  }
  const range = { firstNumber: 1, lastNumber: given.last };
  const voids = await ledger.listVoids(chat, range, 10_000);
  const isVoid = (number: number) =>
    voids.some((one) => number >= one.firstNumber && number <= one.lastNumber);
  for (const number of numbers) {
    const body = rows.get(number);
    const id = given.answered.get(number);
    const name = `number ${number} of chat ${chat.chatNumber}`;
    if ((body !== undefined) === isVoid(number)) found.push(`${name} is no one thing`);
    if (body !== undefined && id !== undefined && !id.startsWith(body)) {
      found.push(`${name} is another message`);
    }
    if (given.skipsNone && body === undefined) found.push(`${name} is void`);
  }
  return found;
}
