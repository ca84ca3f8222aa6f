import { randomUUID } from "node:crypto";
import type { Application } from "../../gen/parley/v1/application.ts";
import type { NumberRange } from "../../gen/parley/v1/state.ts";
import type { ChatJob, MessageJob } from "../../src/core/jobs.ts";
import type { NumberPage, Outcome } from "../../src/core/ports.ts";

/** When everything in these tests was accepted, unless a test says otherwise. */
export const CREATE_MS = Date.UTC(2025, 10, 24, 15, 32, 9, 87);

export function newApplication(change: Partial<Application> = {}): Application {
  const createTime = new Date(CREATE_MS);
  const counts = { chatsCount: 0, countTime: undefined };
  const fields = { token: randomUUID(), name: "contract", createTime, updateTime: createTime };
  return { ...fields, ...counts, ...change };
}

export function chatJob(
  applicationToken: string,
  number: number,
  change: Partial<ChatJob> = {},
): ChatJob {
  const accepted = { createMs: CREATE_MS, requestId: undefined, epoch: 1, accept: number };
  return { kind: "chat", applicationToken, number, ...accepted, ...change };
}

export function messageJob(
  key: { applicationToken: string; chatNumber: number },
  number: number,
  change: Partial<MessageJob> = {},
): MessageJob {
  const accepted = { createMs: CREATE_MS, requestId: undefined, epoch: 1, accept: number };
  const content = { body: `message ${number}`, author: "ada" };
  return { kind: "message", ...key, number, ...accepted, ...content, ...change };
}

export const ALL: NumberPage = {
  after: 0,
  before: Number.POSITIVE_INFINITY,
  order: "asc",
  limit: 1_001,
};

export const EVERYTHING: NumberRange = { firstNumber: 1, lastNumber: Number.MAX_SAFE_INTEGER };

export function kinds(outcomes: Outcome[]): string[] {
  return outcomes.map((outcome) => outcome.kind);
}

/** Whole numbers, both ends included. */
export function numbersFrom(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}
