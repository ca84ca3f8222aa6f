import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { credentials, type ServiceError, status } from "@grpc/grpc-js";
import { SingleBar } from "cli-progress";
import { z } from "zod";
import { ErrorInfo } from "../gen/google/rpc/error_details.ts";
import { Status } from "../gen/google/rpc/status.ts";
import {
  ApplicationServiceClient,
  CreateApplicationRequest,
  type CreateApplicationResponse,
} from "../gen/parley/v1/application.ts";
import {
  ChatServiceClient,
  CreateChatRequest,
  type CreateChatResponse,
} from "../gen/parley/v1/chat.ts";
import {
  CreateMessageRequest,
  type CreateMessageResponse,
  MessageServiceClient,
} from "../gen/parley/v1/message.ts";
import type { Connection } from "./connect.ts";

/** One line of the file. Chats get new numbers, in the order in which they first appear. */
const lineSchema = z.object(
  {
    chat: z.union([z.number(), z.string().min(1)], { error: "must be a number or a name" }),
    author: z.string({ error: "must be text" }).default(""),
    body: z.string({ error: "must be there, and text" }).min(1, "must not be empty"),
  },
  { error: "must be a JSON object" },
);

type Line = z.infer<typeof lineSchema>;

/** Lines that are read ahead of the ones in work, so that memory stays bounded. */
const LINES_IN_WORK_MAX = 512;
const TRIES_MAX = 10;
/** How long one call waits where the server bounds its application's, looking so often. */
const RATE_WAIT_MAX_MS = 10 * 60_000;
const RATE_PAUSE_MS = 200;

export interface ImportOptions {
  file: string;
  /** `host:port` of the server. */
  target: string;
  /** How to reach it; in the clear and without a key unless told otherwise. */
  connection?: Connection;
  /** The application to fill; without one, a new application is created. */
  applicationToken?: string | undefined;
  applicationName: string;
  /** Where the progress bar and the reports of bad lines go. */
  output: NodeJS.WriteStream;
}

export interface ImportResult {
  applicationToken: string;
  chats: number;
  messages: number;
  badLines: number;
}

/**
 * Loads JSON lines through the API. The messages of one chat are created one after the other, so
 * their numbers follow the order of the file; different chats go side by side. A line that cannot
 * be read or is refused is reported with its number, and the rest goes on.
 */
export async function importFile(options: ImportOptions): Promise<ImportResult> {
  const clients = openClients(options);
  const bar = new SingleBar({
    format: "{bar} {percentage}% | {messages} messages, {rate}/s, {left} left",
    stream: options.output,
    noTTYOutput: false,
    clearOnComplete: false,
  });
  try {
    const { size } = await stat(options.file);
    const token = options.applicationToken ?? (await createApplication(clients, options));
    const load = new Load(clients, token, (line, why) => {
      options.output.write(`\nline ${line}: ${why}\n`);
    });
    const startMs = Date.now();
    bar.start(size, 0, { messages: 0, rate: 0, left: "-" });
    const show = setInterval(() => bar.update(load.bytes, progress(load, size, startMs)), 250);
    try {
      await load.readAll(options.file);
    } finally {
      clearInterval(show);
      bar.update(load.bytes, progress(load, size, startMs));
      bar.stop();
    }
    const { messages, badLines } = load;
    return { applicationToken: token, chats: load.chats, messages, badLines };
  } finally {
    for (const client of Object.values(clients)) client.close();
  }
}

type Clients = ReturnType<typeof openClients>;

function openClients({ target, connection }: ImportOptions) {
  const channel = connection?.credentials ?? credentials.createInsecure();
  const options = connection?.options;
  return {
    applications: new ApplicationServiceClient(target, channel, options),
    chats: new ChatServiceClient(target, channel, options),
    messages: new MessageServiceClient(target, channel, options),
  };
}

function progress(load: Load, size: number, startMs: number) {
  const seconds = Math.max(0.001, (Date.now() - startMs) / 1_000);
  const left =
    load.bytes === 0 ? "-" : `${Math.ceil((seconds * (size - load.bytes)) / load.bytes)}s`;
  return { messages: load.messages, rate: Math.round(load.messages / seconds), left };
}

/** One run over a file. */
class Load {
  private readonly clients: Clients;
  private readonly token: string;
  private readonly report: (line: number, why: string) => void;
  /** By the chat's name in the file: its number, once it is created, and its last message. */
  private readonly ends = new Map<string, Promise<number>>();
  private inWork = 0;
  private wake: (() => void) | undefined;
  private failure: Error | undefined;
  bytes = 0;
  messages = 0;
  badLines = 0;

  constructor(clients: Clients, token: string, report: (line: number, why: string) => void) {
    this.clients = clients;
    this.token = token;
    this.report = report;
  }

  get chats(): number {
    return this.ends.size;
  }

  async readAll(file: string): Promise<void> {
    let number = 0;
    for await (const text of linesOf(file)) {
      number++;
      const bytes = Buffer.byteLength(text) + 1;
      if (this.failure !== undefined) break;
      if (text.trim() === "") this.bytes += bytes;
      else this.take(number, text, bytes);
      while (this.inWork >= LINES_IN_WORK_MAX && this.failure === undefined) {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      }
    }
    await Promise.allSettled(this.ends.values());
    if (this.failure !== undefined) throw this.failure;
  }

  private take(number: number, text: string, bytes: number): void {
    let line: Line;
    try {
      line = lineSchema.parse(JSON.parse(text));
    } catch (error) {
      this.bad(number, error instanceof z.ZodError ? faultsOf(error) : "is no JSON");
      this.bytes += bytes;
      return;
    }
    const name = String(line.chat);
    const before = this.ends.get(name) ?? this.createChat();
    this.inWork++;
    const end = before.then(async (chatNumber) => {
      await this.createMessage(chatNumber, line).then(
        () => this.messages++,
        (error: ServiceError) => {
          if (error.code !== status.INVALID_ARGUMENT) throw error;
          this.bad(number, error.details);
        },
      );
      this.bytes += bytes;
      this.inWork--;
      this.wake?.();
      return chatNumber;
    });
    // What is no line's fault ends the whole: every other line would fail in the same way.
    end.catch((error: Error) => {
      this.failure ??= error;
      this.wake?.();
    });
    this.ends.set(name, end);
  }

  private bad(line: number, why: string): void {
    this.badLines++;
    this.report(line, why);
  }

  private async createChat(): Promise<number> {
    const request = CreateChatRequest.fromPartial({
      applicationToken: this.token,
      requestId: randomUUID(),
    });
    const { chat } = await retried<CreateChatResponse>((done) =>
      this.clients.chats.createChat(request, done),
    );
    return chat!.number;
  }

  private createMessage(chatNumber: number, { author, body }: Line): Promise<unknown> {
    const request = CreateMessageRequest.fromPartial({
      applicationToken: this.token,
      chatNumber,
      message: { author, body },
      requestId: randomUUID(),
    });
    return retried<CreateMessageResponse>((done) =>
      this.clients.messages.createMessage(request, done),
    );
  }
}

/**
 * Lines end with LF, or CR LF, alone. (node:readline would also end them at U+2028 and U+2029,
 * which may stand inside a string of JSON.)
 */
async function* linesOf(file: string): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of createReadStream(file, { encoding: "utf8" })) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}

async function createApplication(clients: Clients, options: ImportOptions): Promise<string> {
  const request = CreateApplicationRequest.fromPartial({
    application: { name: options.applicationName },
    requestId: randomUUID(),
  });
  const answer = await retried<CreateApplicationResponse>((done) =>
    clients.applications.createApplication(request, done),
  );
  return answer.application!.token;
}

/** Like the server's own words for a field: its name, and what it must be. */
function faultsOf(error: z.ZodError): string {
  return error.issues
    .map((issue) => `${issue.path.join(".") || "line"}: ${issue.message}`)
    .join("; ");
}

/**
 * Tries again where the server asks for it; the request id of the call keeps it from doubling. A
 * server that bounds the calls is not failing, so waiting for it uses up time, not tries.
 */
async function retried<T>(
  call: (done: (error: ServiceError | null, answer: T) => void) => void,
): Promise<T> {
  const startMs = Date.now();
  for (let tries = 1; ; ) {
    try {
      return await new Promise<T>((resolve, reject) => {
        call((error, answer) => (error === null ? resolve(answer) : reject(error)));
      });
    } catch (error) {
      const { code } = error as ServiceError;
      const again = code === status.UNAVAILABLE || code === status.RESOURCE_EXHAUSTED;
      const limited = isRateLimited(error as ServiceError);
      const over = limited ? Date.now() - startMs > RATE_WAIT_MAX_MS : tries === TRIES_MAX;
      if (!again || over) throw error;
      // Spread out, since what waits for the same bucket is told the same time.
      if (limited) await sleep(RATE_PAUSE_MS * (1 + Math.random()));
      else await sleep(200 * tries++);
    }
  }
}

function isRateLimited({ metadata }: ServiceError): boolean {
  const [bytes] = metadata?.get("grpc-status-details-bin") ?? [];
  if (!Buffer.isBuffer(bytes)) return false;
  return Status.decode(bytes).details.some(
    ({ typeUrl, value }) =>
      typeUrl.endsWith("/google.rpc.ErrorInfo") &&
      ErrorInfo.decode(value).reason === "RATE_LIMITED",
  );
}
