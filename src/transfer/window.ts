import { BatchCreateMessagesRequest, type Message } from "../../gen/parley/v1/message.ts";
import { type ChatLine, type MessageLine, parseLine, readLines } from "./lines.ts";
import type { ImportState, Place } from "./state.ts";

// An import goes through its file in windows. What a window sends follows from its place in the
// file alone, so a window that is done again sends the same batches with the same request ids.

const WINDOW = { lines: 10_000, bytes: 16 * 1024 * 1024 };
/** Within the 1,000 messages and 4 MiB that one call takes. */
const BATCH = { messages: 1_000, bytes: 2 * 1024 * 1024 };

/** What stands for the text of a message that was deleted, until it is deleted again. */
export const DELETED_BODY = "(deleted)";

/** A message of the file with what it is in a request. */
export interface Planned {
  line: number;
  /** Bytes of its line in the file. */
  bytes: number;
  source: MessageLine;
  message: Message;
}

/** What one window has for one chat. */
export interface ChatPlan {
  name: string;
  /** The first line of the chat in the window. */
  line: number;
  chatLine: { line: number; source: ChatLine } | undefined;
  batches: Planned[][];
}

export interface Window {
  /** In the order in which they first appear. */
  chats: ChatPlan[];
  /** Where the next one begins. */
  offset: number;
  line: number;
  /** Bytes that are done with already: chats, empty and bad lines. */
  idleBytes: number;
}

/** Reads the file from a place on; `bad` hears of lines that cannot be read. */
export async function* readWindows(
  file: string,
  from: Pick<Place, "offset" | "line">,
  state: ImportState,
  bad: (line: number, why: string) => void,
): AsyncGenerator<Window> {
  let plan = new Plan(state);
  let { offset: begin, line } = from;
  let end = begin;
  for await (const raw of readLines(file, from)) {
    const bytes = raw.end - end;
    end = raw.end;
    line = raw.number;
    try {
      if (raw.text === undefined) throw new Error(raw.fault);
      if (raw.text.trim() === "") plan.idleBytes += bytes;
      else plan.take(raw.number, bytes, raw.text);
    } catch (error) {
      plan.idleBytes += bytes;
      bad(raw.number, (error as Error).message);
    }
    plan.lines++;
    if (plan.lines < WINDOW.lines && end - begin < WINDOW.bytes) continue;
    yield plan.window(end, line);
    plan = new Plan(state);
    begin = end;
  }
  if (plan.lines > 0) yield plan.window(end, line);
}

/** A window in the making. */
class Plan {
  private readonly state: ImportState;
  private readonly chats = new Map<string, ChatPlan & { bytes: number }>();
  lines = 0;
  idleBytes = 0;

  constructor(state: ImportState) {
    this.state = state;
  }

  take(line: number, bytes: number, text: string): void {
    const source = parseLine(text);
    const known = this.chats.get(source.chat);
    if (source.kind === "chat") {
      const created = this.state.findChat(source.chat);
      // The chat of a window that is done again is there already, and was made for this line.
      if (known !== undefined || (created !== undefined && created.line !== line)) {
        throw new Error("chat: is there already, so what is said of it comes too late");
      }
      const chatLine = { line, source };
      this.chats.set(source.chat, { name: source.chat, line, chatLine, batches: [], bytes: 0 });
      this.idleBytes += bytes;
      return;
    }
    const { chat: name, author, body = DELETED_BODY, attributes, originalTime } = source;
    const request = BatchCreateMessagesRequest.fromPartial({
      messages: [{ author, body, attributes, originalTime }],
    });
    const planned = { line, bytes, source, message: request.messages[0]! };
    const size = BatchCreateMessagesRequest.encode(request).finish().length;
    const chat = known ?? { name, line, chatLine: undefined, batches: [], bytes: 0 };
    if (known === undefined) this.chats.set(name, chat);
    const batch = chat.batches.at(-1);
    if (batch && batch.length < BATCH.messages && chat.bytes + size <= BATCH.bytes) {
      batch.push(planned);
      chat.bytes += size;
    } else {
      chat.batches.push([planned]);
      chat.bytes = size;
    }
  }

  window(offset: number, line: number): Window {
    return { chats: [...this.chats.values()], offset, line, idleBytes: this.idleBytes };
  }
}
