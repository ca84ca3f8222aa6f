import { randomUUID } from "node:crypto";
import type { Application } from "../../gen/parley/v1/application.ts";
import type { ChatJob, MessageJob } from "../../src/core/jobs.ts";

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

/** Whole numbers, both ends included. */
export function numbersFrom(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}
