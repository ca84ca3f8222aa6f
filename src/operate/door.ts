import { chmodSync, rmSync } from "node:fs";
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import { relative, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Logger } from "../log.ts";
import type { Process } from "../process.ts";
import { type Output, type Parts, runOperation, UsageError } from "./operation.ts";
import { operations } from "./operations.ts";

// The embedded stack's folder belongs to one process. So operations beside a running server are
// run by that server: it is asked through a socket in the folder, which only its owner can open.

/** Name of the socket in the data folder. */
const SOCKET = "operate.sock";
/** What an operating system takes as the name of a socket, at the least. */
const PATH_BYTES_MAX = 100;
/** What was typed is short. */
const REQUEST_BYTES_MAX = 64 * 1024;

/** One line of an answer, as JSON. The last one is `end` or `error`. */
type Event =
  | { item: [found: object, words: string] }
  | { sum: [sum: object, words: string] }
  | { progress: [done: number, total: number] }
  | { failed: true }
  | { error: string; usage: boolean }
  | { end: true };

/** Where the socket of a data folder is: the shorter of its two names. */
function socketOf(dataDir: string): string {
  const absolute = resolve(dataDir, SOCKET);
  const near = relative(process.cwd(), absolute);
  return Buffer.byteLength(near) < Buffer.byteLength(absolute) ? near : absolute;
}

/** Runs operations for those who ask through the socket of the data folder. */
export class OperatorsDoor implements Process {
  private readonly parts: Omit<Parts, "signal">;
  private readonly log: Logger;
  private readonly path: string;
  private readonly server: Server;

  constructor(parts: Omit<Parts, "signal"> & { log: Logger }) {
    const { log, ...rest } = parts;
    this.parts = rest;
    this.log = log;
    this.path = socketOf(parts.config.PARLEY_DATA_DIR);
    this.server = createServer((asked, answer) => void this.answer(asked, answer));
  }

  async start(): Promise<void> {
    if (Buffer.byteLength(this.path) > PATH_BYTES_MAX) {
      this.log.warn({ path: this.path }, "no operations beside the server: the path is too long");
      return;
    }
    // The folder is locked, so a socket that is there is left over from a process that died.
    rmSync(this.path, { force: true });
    await new Promise<void>((done, failed) => {
      this.server.once("error", failed);
      this.server.listen(this.path, done);
    });
    chmodSync(this.path, 0o600);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise<void>((done) => this.server.close(() => done()));
  }

  private async answer(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const gone = new AbortController();
    answer.on("close", () => gone.abort());
    const say = (event: Event) => answer.write(`${JSON.stringify(event)}\n`);
    try {
      const { name, typed } = await readRequest(asked);
      const found = operations.find((one) => one.name === name);
      if (found === undefined) throw new Error(`the running server knows no ${name}`);
      this.log.info({ operation: name }, "operation");
      const output: Output = {
        item: (...item) => say({ item }),
        sum: (...sum) => say({ sum }),
        progress: (done, total) => say({ progress: [done, total] }),
        failed: () => say({ failed: true }),
      };
      await runOperation(found, typed, { ...this.parts, signal: gone.signal }, output);
      say({ end: true });
    } catch (error) {
      say({ error: (error as Error).message, usage: error instanceof UsageError });
    }
    answer.end();
  }
}

async function readRequest(
  asked: IncomingMessage,
): Promise<{ name: string; typed: Record<string, unknown> }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of asked) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > REQUEST_BYTES_MAX) throw new Error("the request is too long");
  }
  return JSON.parse(Buffer.concat(chunks).toString());
}

/**
 * Has an operation run by the server that has the folder. False where no server runs there; throws
 * what the operation throws.
 */
export async function askRunningServer(
  dataDir: string,
  asked: { name: string; typed: Record<string, unknown> },
  output: Output,
): Promise<boolean> {
  const answer = await connect(socketOf(dataDir), JSON.stringify(asked));
  if (answer === undefined) return false;
  for await (const line of createInterface({ input: answer })) {
    const event = JSON.parse(line) as Event;
    if ("item" in event) output.item(...event.item);
    else if ("sum" in event) output.sum(...event.sum);
    else if ("progress" in event) output.progress(...event.progress);
    else if ("failed" in event) output.failed();
    else if ("error" in event) throw new (event.usage ? UsageError : Error)(event.error);
    else return true;
  }
  throw new Error("the server ended in the middle of the operation");
}

function connect(path: string, body: string): Promise<IncomingMessage | undefined> {
  return new Promise((done, failed) => {
    const call = request({ socketPath: path, method: "POST" }, done);
    call.on("error", (error: NodeJS.ErrnoException) => {
      // No socket, or one that a process left behind when it died.
      if (["ENOENT", "ECONNREFUSED", "ENOTDIR"].includes(error.code ?? "")) done(undefined);
      else failed(error);
    });
    call.end(body);
  });
}
