import { randomUUID } from "node:crypto";
import { expect } from "chai";
import type { Acceptance, AcceptRequest, BatchRequest, Intake } from "../../src/core/intake.ts";
import {
  encodeBatch,
  encodeDraft,
  type JobDraft,
  type MessageContent,
} from "../../src/core/jobs.ts";
import type { Counter } from "../../src/core/ports.ts";
import { isUnavailable } from "../../src/errors.ts";
import { RedisIntake } from "../../src/stacks/redis/intake.ts";
import { SqliteIntake } from "../../src/stacks/sqlite/intake.ts";
import { IntakeDb } from "../../src/stacks/sqlite/intake-db.ts";
import { freshDataDir, freshServers } from "../support/servers.ts";
import { CREATE_MS } from "./jobs.ts";

export interface IntakeBounds {
  requestIdTtlMs: number;
  backlogMax: number;
}

export const BOUNDS: IntakeBounds = { requestIdTtlMs: 3_600_000, backlogMax: 10_000 };

/** A fresh home of counters, as the processes of one stack share it. */
export interface IntakeHome {
  /** Opens it as another process does. */
  open(bounds?: Partial<IntakeBounds>): Intake;
  close(): Promise<void>;
}

/** The embedded stack is one process, so whoever opens the file shares one connection. */
export async function sqliteHome(): Promise<IntakeHome> {
  const { dataDir, drop } = freshDataDir();
  const db = new IntakeDb(dataDir);
  return {
    open: (bounds) => new SqliteIntake({ db, ...BOUNDS, ...bounds }),
    close: async () => {
      db.close();
      await drop();
    },
  };
}

export async function redisHome(): Promise<IntakeHome> {
  const { redisUrl: url, drop } = await freshServers();
  const opened: RedisIntake[] = [];
  return {
    open: (bounds) => {
      const intake = new RedisIntake({ url, ...BOUNDS, ...bounds });
      opened.push(intake);
      return intake;
    },
    close: async () => {
      for (const intake of opened) intake.stop();
      await drop();
    },
  };
}

/** What an intake is asked for, with everything but the counter made up where it is left out. */
export type Ask = Partial<AcceptRequest> & { body?: string };

/** An intake of which an epoch is known, so that a test says only what it is about. */
export class Trusted {
  readonly intake: Intake;
  readonly epoch: number;
  connection = 0;

  constructor(intake: Intake, epoch = 1) {
    this.intake = intake;
    this.epoch = epoch;
  }

  /** Installs the epoch where it is not, and notes the connection. */
  async begin(): Promise<this> {
    this.connection = (await this.intake.inspect()).connection;
    await this.intake.install({ connection: this.connection, epoch: this.epoch });
    return this;
  }

  accept(counter: Counter, ask: Ask = {}): Promise<Acceptance> {
    const createMs = ask.createMs ?? CREATE_MS;
    const draft = encodeDraft(draftOf(counter, { ...ask, createMs }));
    const { connection, epoch } = this;
    const known = { connection, epoch, seen: 0, counter, createMs, request: undefined };
    const { body: _, ...said } = ask;
    return this.intake.accept({ ...known, ...draft, ...said });
  }

  /** Accepts messages together; `bodies` says how many, or what they say. */
  acceptBatch(
    counter: { applicationToken: string; chatNumber: number },
    bodies: number | MessageContent[],
    ask: Partial<BatchRequest> = {},
  ): Promise<Acceptance> {
    const { connection, epoch } = this;
    const messages =
      typeof bodies === "number"
        ? Array.from({ length: bodies }, (_, at) => ({ author: "ada", body: `body ${at + 1}` }))
        : bodies;
    const { createMs = CREATE_MS, request } = ask;
    const draft = { ...counter, createMs, requestId: request?.id, messages };
    const step = { connection, epoch, seen: 0, counter, createMs, request };
    return this.intake.acceptBatch({
      ...step,
      ...encodeBatch({ kind: "message", ...draft }),
      ...ask,
    });
  }

  /** Accepts what must be accepted. */
  async take(counter: Counter, ask: Ask = {}): Promise<number> {
    const result = await this.accept(counter, ask);
    if (result.kind !== "accepted") throw new Error(`${result.kind}, not accepted`);
    return result.number;
  }

  seed(counter: Counter, ceiling = 1_000_000, start = 0): Promise<boolean> {
    const { connection, epoch } = this;
    return this.intake.grant({ connection, epoch, counter, start, ceiling });
  }

  raise(counter: Counter, ceiling: number): Promise<boolean> {
    const { connection, epoch } = this;
    return this.intake.grant({ connection, epoch, counter, ceiling });
  }
}

/** A chat that has a counter, and who may take numbers from it. */
export async function seeded(intake: Intake) {
  const one = await new Trusted(intake).begin();
  const chat = newChat();
  await one.seed(chat);
  return { one, chat };
}

function draftOf(counter: Counter, ask: Ask & { createMs: number }): JobDraft {
  const { applicationToken, chatNumber } = counter;
  const base = { applicationToken, createMs: ask.createMs, requestId: ask.request?.id };
  const { externalId } = ask;
  if (chatNumber === undefined) return { kind: "chat", ...base, ...(externalId && { externalId }) };
  return { kind: "message", ...base, chatNumber, author: "ada", body: ask.body ?? "hello" };
}

export function newChat(): { applicationToken: string; chatNumber: number } {
  return { applicationToken: randomUUID(), chatNumber: 1 };
}

export function newRequest(digest = "00112233445566aa"): { id: string; digest: string } {
  return { id: randomUUID(), digest };
}

/** Returns when a step was refused because the counters cannot be used. */
export async function refused(step: Promise<unknown>): Promise<void> {
  const error = await step.then(
    (value) => new Error(`it was answered: ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  expect(isUnavailable(error), String(error)).to.equal(true);
  expect(error).to.include({ reason: "COUNTERS_UNAVAILABLE" });
}
