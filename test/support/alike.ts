// Applications as like one another as they can be: their tokens differ in one digit or one group,
// their chats have the same numbers, their messages the same bodies and request ids.

export const TOKENS = [
  "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
  "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaab",
  "baaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
  "aaaaaaaa-bbbb-4aaa-8aaa-aaaaaaaaaaaa",
];
export const BODIES = ["one", "another one", "none", "ONE ünd öne", "1", "11"];
/** Names for chats, which every application may use. */
export const NAMES = ["", "", "a", "a ", "A"];
export const IDS = [1, 2, 3].map((n) => `00000000-0000-4000-8000-00000000000${n}`);

/** What a request id was used for. */
interface Sent {
  content: string;
  number: number;
}

/** What an application holds by its own calls alone. */
export class Model {
  readonly token: string;
  readonly chats: { bodies: string[]; externalId: string; ids: Map<string, Sent> }[] = [];
  private readonly ids = new Map<string, Sent>();

  constructor(token: string) {
    this.token = token;
  }

  /** Undefined where the call must be refused: the id was used for another name. */
  createChat(id: string, externalId = ""): number | undefined {
    const known = this.ids.get(id);
    if (known !== undefined) return known.content === externalId ? known.number : undefined;
    const existing = this.named(externalId);
    if (existing !== undefined) return existing;
    this.chats.push({ bodies: [], externalId, ids: new Map() });
    const number = this.chats.length;
    if (id !== "") this.ids.set(id, { content: externalId, number });
    return number;
  }

  named(externalId: string): number | undefined {
    const at = this.chats.findIndex((chat) => chat.externalId === externalId);
    return externalId === "" || at < 0 ? undefined : at + 1;
  }

  /**
   * The first number of a message, or of a batch. Undefined where the call must be refused: no such
   * chat, or the id of other content.
   */
  createMessages(chatNumber: number, said: string | string[], id: string): number | undefined {
    const chat = this.chats[chatNumber - 1];
    if (chat === undefined) return undefined;
    const content = JSON.stringify(said);
    const known = chat.ids.get(id);
    if (known !== undefined) return known.content === content ? known.number : undefined;
    const number = chat.bodies.length + 1;
    chat.bodies.push(...[said].flat());
    if (id !== "") chat.ids.set(id, { content, number });
    return number;
  }

  /** An edit, or without a body a deletion: its number, undefined where it must be refused. */
  change(chatNumber: number, number: number, body: string): number | undefined {
    const bodies = this.chats[chatNumber - 1]?.bodies ?? [];
    const before = bodies[number - 1];
    if (before === undefined || (before === "" && body !== "")) return undefined;
    bodies[number - 1] = body;
    return number;
  }
}
