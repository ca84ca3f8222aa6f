import type { Config } from "./config.ts";
import { REQUEST_IDS_PER_JOB } from "./core/limits.ts";
import type { Stack } from "./core/ports.ts";
import { isUnavailable } from "./errors.ts";
import type { Logger } from "./log.ts";
import type { MetricName } from "./metric-names.ts";
import { type DriftKind, sampleDrift } from "./operate/drift.ts";

/** One value of a gauge at this moment. */
export interface Reading {
  name: MetricName;
  value: number;
  labels: Record<string, string>;
}

function reading(name: MetricName, value: number, labels: Record<string, string> = {}): Reading {
  return { name, value, labels };
}

/** What is read is kept for so long, so that many who scrape cost no more than one. */
const KEPT_MS = 1_000;
/** What costs more is looked at again after so long. */
const AUDIT_MS = 60_000;
/** How long a scrape waits for a part; what comes later is for the next. */
const WAIT_MS = 1_500;
/** Search gaps are counted up to here. */
const GAPS_MAX = 1_000;

const DRIFT_KINDS: DriftKind[] = ["count", "missing", "behind", "rows"];

interface Parts {
  stack: Stack;
  config: Config;
  log: Logger;
  /** Whether this process looks for drift and sums the voids: one kind of process is enough. */
  audits: boolean;
}

/**
 * Reads the state that all processes share: jobs, backlog, gaps, chores, drift. A part that is away
 * gives no readings rather than old ones, and holds a scrape up for a bounded time.
 */
export function openGauges(parts: Parts): () => Promise<Reading[]> {
  const looks = [
    kept(KEPT_MS, partLook(parts, "counters", readCounters), isDown("counters")),
    kept(KEPT_MS, partLook(parts, "database", readDatabase), isDown("database")),
  ];
  if (parts.audits) {
    // It may take long on a large system, and then its readings are for a later scrape.
    looks.push(kept(AUDIT_MS, () => auditLook(parts), []));
  }
  return async () => (await Promise.all(looks.map((look) => look()))).flat();
}

async function auditLook(parts: Parts): Promise<Reading[]> {
  try {
    return await audit(parts);
  } catch (error) {
    if (!isUnavailable(error)) parts.log.warn({ err: error }, "gauges cannot be read");
    return [];
  }
}

/** A part that cannot be read tells nothing but that it is down. */
function partLook(
  parts: Parts,
  part: string,
  read: (parts: Parts) => Promise<Reading[]>,
): () => Promise<Reading[]> {
  return async () => {
    try {
      return [...(await read(parts)), reading("parley_part_up", 1, { part })];
    } catch (error) {
      if (!isUnavailable(error)) parts.log.warn({ err: error, part }, "gauges cannot be read");
      return isDown(part);
    }
  };
}

function isDown(part: string): Reading[] {
  return [reading("parley_part_up", 0, { part })];
}

/**
 * Looks at most once in a time, however many ask. Who asks while a look takes too long is told
 * `late`; the look goes on, and none is begun beside it.
 */
function kept(
  forMs: number,
  look: () => Promise<Reading[]>,
  late: Reading[],
): () => Promise<Reading[]> {
  let underway: Promise<Reading[]> | undefined;
  let last: { readings: Reading[]; atMs: number } | undefined;
  return async () => {
    if (last !== undefined && performance.now() - last.atMs < forMs) return last.readings;
    underway ??= look().then((readings) => {
      last = { readings, atMs: performance.now() };
      underway = undefined;
      return readings;
    });
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<Reading[]>((resolve) => {
      timer = setTimeout(resolve, WAIT_MS, late);
    });
    try {
      return await Promise.race([underway, tooLate]);
    } finally {
      clearTimeout(timer);
    }
  };
}

async function readCounters({ stack, config }: Parts): Promise<Reading[]> {
  const { queue, intake } = stack;
  const [counts, oldestMs, { jobs, requestIds }, { epoch }] = await Promise.all([
    queue.counts(),
    queue.oldestMs(),
    intake.backlog(),
    intake.inspect(),
  ]);
  const { waiting, inWork, delayed, suspects, parked } = counts;
  const places = { waiting, in_work: inWork, delayed, suspects, parked };
  const ageMs = oldestMs === undefined ? 0 : Math.max(0, Date.now() - oldestMs);
  const used = jobs + Math.floor(requestIds / REQUEST_IDS_PER_JOB);
  return [
    ...Object.entries(places).map(([place, value]) => reading("parley_jobs", value, { place })),
    reading("parley_oldest_job_age_seconds", ageMs / 1_000),
    reading("parley_backlog_used", used),
    reading("parley_backlog_bound", config.PARLEY_BACKLOG_MAX),
    reading("parley_epoch", epoch),
  ];
}

async function readDatabase({ stack }: Parts): Promise<Reading[]> {
  const [gaps, runs] = await Promise.all([
    stack.store.listGaps(GAPS_MAX),
    stack.upkeep.listChoreRuns(),
  ]);
  const began = "parley_chore_last_success_timestamp_seconds";
  return [
    reading("parley_search_gaps", gaps.length),
    ...runs.map(({ name: chore, beganTime }) => {
      return reading(began, beganTime.getTime() / 1_000, { chore });
    }),
  ];
}

async function audit({ stack }: Parts): Promise<Reading[]> {
  const { looked, drifts } = await sampleDrift(stack);
  const voids = await stack.upkeep.sumVoids();
  return [
    reading("parley_counters_checked", looked),
    ...DRIFT_KINDS.map((kind) => {
      const some = drifts.filter((one) => one.kind === kind).length;
      return reading("parley_counters_drifted", some, { kind });
    }),
    reading("parley_voids", voids),
  ];
}
