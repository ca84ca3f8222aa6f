/** What an application holds by its own calls alone. */
export class Model {
  readonly token: string;
  readonly chats: { bodies: string[]; sent: string[]; ids: Map<string, number> }[] = [];
  private readonly ids = new Map<string, number>();

  constructor(token: string) {
    this.token = token;
  }

  createChat(id: string): number {
    const known = this.ids.get(id);
    if (known !== undefined) return known;
    this.chats.push({ bodies: [], sent: [], ids: new Map() });
    if (id !== "") this.ids.set(id, this.chats.length);
    return this.chats.length;
  }

  /** Undefined where the call must be refused: no such chat, or the id of another body. */
  createMessage(chatNumber: number, body: string, id: string): number | undefined {
    const chat = this.chats[chatNumber - 1];
    if (chat === undefined) return undefined;
    const known = chat.ids.get(id);
    if (known !== undefined) return chat.sent[known - 1] === body ? known : undefined;
    chat.sent.push(body);
    chat.bodies.push(body);
    if (id !== "") chat.ids.set(id, chat.bodies.length);
    return chat.bodies.length;
  }

  /** An edit, or without a body a deletion; false where the call must be refused. */
  change(chatNumber: number, number: number, body: string): boolean {
    const bodies = this.chats[chatNumber - 1]?.bodies ?? [];
    const before = bodies[number - 1];
    if (before === undefined || (before === "" && body !== "")) return false;
    bodies[number - 1] = body;
    return true;
  }
}
