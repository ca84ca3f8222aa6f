import { z } from "zod";
import type { JobCounts, JobReport } from "../core/job-queue.ts";
import { decodeJob, type Job } from "../core/jobs.ts";

const TOKEN = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const JOB_ID = /^([0-9a-f-]{36}):(?:(\d{1,16}):)?(\d{1,16})$/;
/** Characters of an error that fit on a line. */
const ERROR_CHARACTERS_MAX = 300;

export const tokenInput = z
  .string()
  .regex(TOKEN, "must be the token of an application, a UUID in lower case");
export const jobIdInput = z
  .string()
  .regex(JOB_ID, "must be the id of a job, as jobs list shows it");

/** What a job is about, from its id alone: the job itself may be unreadable. */
export function subjectOf(jobId: string): {
  counter: { applicationToken: string; chatNumber?: number };
  number: number;
} {
  const [, applicationToken, chat, number] = JOB_ID.exec(jobId)!;
  const chatNumber = chat === undefined ? {} : { chatNumber: Number(chat) };
  return {
    counter: { applicationToken: applicationToken!, ...chatNumber },
    number: Number(number),
  };
}

export function wordsOf(subject: ReturnType<typeof subjectOf>): string {
  const { applicationToken, chatNumber } = subject.counter;
  const what =
    chatNumber === undefined
      ? `chat ${subject.number}`
      : `message ${subject.number} in chat ${chatNumber}`;
  return `${what} of application ${applicationToken}`;
}

/** What was written, undefined where that cannot be read. */
export function jobOf(report: JobReport): Job | undefined {
  try {
    return decodeJob(report.data);
  } catch {
    return undefined;
  }
}

/** All about a job but what its author wrote. */
export function describeJob(report: JobReport) {
  const { counter, number } = subjectOf(report.id);
  const job = jobOf(report);
  const body = job?.kind === "message" ? Buffer.byteLength(job.body) : 0;
  return {
    id: report.id,
    kind: counter.chatNumber === undefined ? "chat" : "message",
    applicationToken: counter.applicationToken,
    chatNumber: counter.chatNumber ?? number,
    number,
    acceptTime: job && timeOf(job.createMs),
    bodyBytes: body,
    place: report.place,
    tries: report.tries,
    stalls: report.stalls,
    error: report.error.slice(0, ERROR_CHARACTERS_MAX),
    nextTryTime: report.dueMs === undefined ? undefined : timeOf(report.dueMs),
  };
}

export function countsLine(counts: JobCounts): string {
  const { waiting, inWork, delayed, suspects, parked } = counts;
  return (
    `jobs: ${waiting} waiting, ${inWork} in work, ${delayed} delayed, ` +
    `${suspects} suspects, ${parked} parked`
  );
}

export function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
