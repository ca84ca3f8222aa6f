import { setTimeout as sleep } from "node:timers/promises";
import type { Finding, Rank } from "../core/upkeep.ts";

/** What a part has to say of itself is waited for this long. */
const EXAMINE_MS = 8_000;

/** Clocks that are so far from ours are told of, and are wrong. */
const CLOCK_MS = { told: 1_000, wrong: 30_000 };

/** Makes findings of one part. */
export function findingsOf(part: string) {
  const found: Finding[] = [];
  const add = (rank: Rank, what: string, advice = "") => {
    found.push({ rank, part, what, advice });
  };
  return {
    found,
    error: (what: string, advice: string) => add("error", what, advice),
    warning: (what: string, advice: string) => add("warning", what, advice),
    note: (what: string, advice = "") => add("note", what, advice),
    /** Holds a server's clock against ours; it was read between the two moments. */
    clock: (serverMs: number, { beforeMs, afterMs }: { beforeMs: number; afterMs: number }) => {
      const apartMs = Math.max(beforeMs - serverMs, serverMs - afterMs, 0);
      if (apartMs < CLOCK_MS.told) return;
      const rank = apartMs < CLOCK_MS.wrong ? "warning" : "error";
      const seconds = (apartMs / 1_000).toFixed(1);
      add(rank, `its clock and ours are ${seconds} s apart`, "set both by the same NTP servers");
    },
  };
}

export type Findings = ReturnType<typeof findingsOf>;

/** Examines a part; that it is away, or too slow to say so, is a finding too. */
export async function examined(
  part: { name: string; advice: string; adviceOf?: (reason: string) => string | undefined },
  work: (findings: Findings) => Promise<void>,
): Promise<Finding[]> {
  const findings = findingsOf(part.name);
  const done = new AbortController();
  const late = sleep(EXAMINE_MS, undefined, { signal: done.signal }).then(() => {
    throw new Error(`no answer within ${EXAMINE_MS} ms`);
  });
  late.catch(() => {});
  try {
    await Promise.race([work(findings), late]);
  } catch (error) {
    const reason = reasonOf(error);
    const advice = part.adviceOf?.(reason) ?? part.advice;
    findings.error(`cannot be reached: ${reason}`, advice);
  } finally {
    done.abort();
  }
  // What comes after this moment is nobody's.
  return [...findings.found];
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause.message : error.cause;
  return cause === undefined ? error.message : String(cause);
}

/** True where a version, digits with points, is at least another one. */
export function isAtLeast(version: string, least: string): boolean {
  const parts = (text: string) => (/^\d+(\.\d+)*/.exec(text)?.[0] ?? "0").split(".").map(Number);
  const given = parts(version);
  for (const [at, wanted] of parts(least).entries()) {
    const part = given[at] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}

export function percentOf(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((100 * part) / whole);
}

export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1_048_576).toLocaleString("en")} MiB`;
}

/** Jobs that wait longer are told of, and are a fault. */
const JOB_AGE_MS = { told: 30_000, wrong: 600_000 };

/** How old the oldest job may be that waits. */
export function addOldestJob(findings: Findings, createMs: number | undefined, nowMs: number) {
  if (createMs === undefined) return;
  const ageMs = nowMs - createMs;
  if (ageMs < JOB_AGE_MS.told) return;
  const what = `the oldest job that waits is ${Math.round(ageMs / 1_000)} s old`;
  const advice = "see that workers run and what their log says; start more where they are busy";
  if (ageMs < JOB_AGE_MS.wrong) findings.warning(what, advice);
  else findings.error(what, advice);
}
