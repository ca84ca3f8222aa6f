import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { pick } from "./random.ts";
import { type Clients, openClients, type Refusal, refusalIn } from "./system.ts";

/** A message or chat that a caller was told the number of. */
export interface Answer {
  chatNumber: number;
  /** 0 for the chat itself. */
  number: number;
  body: string;
  requestId: string;
}

/** A call that was not answered: tried again with the same request id. */
export interface Failure extends Refusal {
  ms: number;
}

const PAUSE_MS = 50;
/** How long so many more answers may take; an outage in a test is shorter. */
const WAIT_MAX_MS = 80_000;
const CHATS_FIRST = 4;
/** One call in so many begins a chat. */
const CALLS_PER_CHAT = 200;

/**
 * Callers that create chats and messages through the generated client, one call after the other
 * each. Every call is tried with one request id until it is answered, as careful clients do.
 */
export class Load {
  readonly answers: Answer[] = [];
  readonly failures: Failure[] = [];
  /** Chats that are said not to be there, though their numbers were answered. */
  readonly missing = new Set<number>();
  applicationToken = "";
  /** The longest time in which no call was answered. */
  longestOutageMs = 0;
  private readonly clients: Clients[];
  private readonly random: () => number;
  private chats: number[] = [];
  private callers: Promise<void>[] = [];
  private over = false;
  private answeredMs = 0;

  constructor(targets: string[], random: () => number) {
    this.clients = targets.map((target) => openClients(target));
    this.random = random;
  }

  /** Makes an application and its first chats, then lets so many callers begin. */
  async start(callers: number): Promise<void> {
    const { application } = await this.clients[0]!.createApplication({
      application: { name: "load" },
    });
    this.applicationToken = application!.token;
    for (let at = 0; at < CHATS_FIRST; at++) await this.beginChat();
    this.resume(callers);
  }

  resume(callers: number): void {
    this.over = false;
    this.answeredMs = performance.now();
    this.callers = Array.from({ length: callers }, () => this.call());
  }

  /** Returns when so many more calls were answered. */
  answered(more: number): Promise<void> {
    return this.grown([this.answers], more);
  }

  /** Returns when so many more calls were refused. */
  refused(more: number): Promise<void> {
    return this.grown([this.failures], more);
  }

  /** Returns when so many more were answered or refused: none may be answered in an outage. */
  tried(more: number): Promise<void> {
    return this.grown([this.answers, this.failures], more);
  }

  /** No new calls; returns when those under way were answered. */
  async stop(): Promise<void> {
    this.over = true;
    await Promise.all(this.callers);
  }

  close(): void {
    for (const client of this.clients) client.close();
  }

  /** Fails in time to say why, before whoever waits is said to be late and nothing more. */
  private async grown(lists: readonly (readonly unknown[])[], more: number): Promise<void> {
    const length = () => lists.reduce((sum, list) => sum + list.length, 0);
    const enough = length() + more;
    const endMs = performance.now() + WAIT_MAX_MS;
    while (length() < enough) {
      await sleep(5);
      if (performance.now() < endMs) continue;
      const last = this.failures.slice(-5).map((one) => `${one.code} ${one.reason}`);
      throw new Error(`${enough - length()} of ${more} did not come; refused last: ${last}`);
    }
  }

  private async call(): Promise<void> {
    while (!this.over) {
      if (this.chats.length === 0 || this.random() * CALLS_PER_CHAT < 1) await this.beginChat();
      else await this.say(pick(this.random, this.chats));
    }
  }

  private async beginChat(): Promise<void> {
    const { applicationToken } = this;
    const requestId = randomUUID();
    const { chat } = await this.insist((one) => one.createChat({ applicationToken, requestId }));
    this.chats.push(chat!.number);
    this.answers.push({ chatNumber: chat!.number, number: 0, body: "", requestId });
  }

  private async say(chatNumber: number): Promise<void> {
    const key = { applicationToken: this.applicationToken, chatNumber };
    const requestId = randomUUID();
    const body = `${requestId} ${"word ".repeat(Math.floor(this.random() * 20))}`;
    const answer = await this.insist((one) =>
      one.createMessage({ ...key, message: { body, author: "load" }, requestId }),
    ).catch((error: unknown) => {
      if (refusalIn(error).code !== status.NOT_FOUND) throw error;
    });
    if (answer === undefined) {
      // A chat that was lost before it was stored; the audit looks whether it is a void.
      this.missing.add(chatNumber);
      this.chats = this.chats.filter((one) => one !== chatNumber);
      return;
    }
    const { message } = answer;
    this.answers.push({ chatNumber, number: message!.number, body, requestId });
  }

  private async insist<T>(call: (clients: Clients) => Promise<T>): Promise<T> {
    for (;;) {
      const startMs = performance.now();
      try {
        const answer = await call(pick(this.random, this.clients));
        const nowMs = performance.now();
        this.longestOutageMs = Math.max(this.longestOutageMs, nowMs - this.answeredMs);
        this.answeredMs = nowMs;
        return answer;
      } catch (error) {
        const refusal = refusalIn(error);
        this.failures.push({ ...refusal, ms: performance.now() - startMs });
        if (!TRY_AGAIN.has(refusal.code)) throw error;
        await sleep(PAUSE_MS);
      }
    }
  }
}

/** What a client may try again with the same request id. */
const TRY_AGAIN = new Set<number>([
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.RESOURCE_EXHAUSTED,
]);
