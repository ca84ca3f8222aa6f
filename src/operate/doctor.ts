import { z } from "zod";
import type { Config } from "../config.ts";
import { REQUEST_IDS_PER_JOB } from "../core/limits.ts";
import type { Stack } from "../core/ports.ts";
import type { Finding, Rank } from "../core/upkeep.ts";
import { isUnavailable } from "../errors.ts";
import { lastTick } from "../worker/scheduler.ts";
import { ADVICE, sampleDrift } from "./drift.ts";
import { plural } from "./job-words.ts";
import { operation } from "./operation.ts";

/** Parked jobs and gaps are counted up to here. */
const COUNTED_MAX = 1_000;
/** A chore that has not run so long after its tick is late. */
const LATE_MS = 120_000;

const RANKS: Rank[] = ["error", "warning", "note"];

export const doctorOperation = operation({
  name: "doctor",
  description: "look at every part and setting, and rank what is wrong with what to do",
  examples: ["doctor", "doctor --json"],
  unready: true,
  input: z.object({}),
  async run({ stack, config }, _, output) {
    const looks: [string, () => Promise<Finding[]>][] = [
      ["numbers", () => lookAtTrust(stack)],
      ["jobs", () => lookAtJobs(stack, config)],
      ["search", () => lookAtGaps(stack)],
      ["counts", () => lookAtCounts(stack)],
      ["chores", () => lookAtChores(stack, config)],
    ];
    const found = (
      await Promise.all([
        stack.examine(),
        ...looks.map(([part, look]) => guarded(part, look)),
        lookAtSettings(config),
      ])
    ).flat();
    found.sort((one, other) => RANKS.indexOf(one.rank) - RANKS.indexOf(other.rank));
    const count = (rank: Rank) => found.filter((one) => one.rank === rank).length;
    const sum = { errors: count("error"), warnings: count("warning"), notes: count("note") };
    for (const one of found) output.item(one, textOf(one));
    const words = [
      plural(sum.errors, "error"),
      plural(sum.warnings, "warning"),
      plural(sum.notes, "note"),
    ];
    output.sum(sum, words.join(", "));
    if (sum.errors > 0) output.failed();
  },
});

function textOf({ rank, part, what, advice }: Finding): string {
  const end = advice === "" ? "" : `\n${" ".repeat(8)}> ${advice}`;
  return `${rank.padEnd(7)} ${part}: ${what}${end}`;
}

/** A part that is away tells so itself where it is examined. */
async function guarded(part: string, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    const away = isUnavailable(error);
    const why = away ? "" : `: ${(error as Error).message}`;
    const what = `could not be looked at${why}`;
    return [{ rank: away ? "note" : "error", part, what, advice: "mend what is told above" }];
  }
}

async function lookAtTrust({ intake, ledger }: Stack): Promise<Finding[]> {
  const part = "numbers";
  const known = await ledger.get();
  const found = await intake.inspect();
  if (known.epoch === 0) return [{ rank: "note", part, what: "none was given yet", advice: "" }];
  if (known.pending) {
    const what = `epoch ${known.epoch} has begun and is not installed`;
    return [{ rank: "warning", part, what, advice: "the next process that connects installs it" }];
  }
  if (found.epoch !== known.epoch) {
    const what = `the counters are of epoch ${found.epoch}, the database of ${known.epoch}`;
    const advice = "the next create begins a new epoch; where a copy was restored, say epoch new";
    return [{ rank: "warning", part, what, advice }];
  }
  if (found.accepts < known.witnessed) {
    const what = `the counters have lost ${known.witnessed - found.accepts} accepts or more`;
    return [{ rank: "error", part, what, advice: "an older copy came back: say epoch new" }];
  }
  return [];
}

async function lookAtJobs({ intake, queue }: Stack, config: Config): Promise<Finding[]> {
  const part = "jobs";
  const found: Finding[] = [];
  const { jobs, requestIds } = await intake.backlog();
  const weight = jobs + Math.floor(requestIds / REQUEST_IDS_PER_JOB);
  const most = config.PARLEY_BACKLOG_MAX;
  if (weight >= 0.8 * most) {
    found.push({
      rank: weight >= most ? "error" : "warning",
      part,
      what: `the backlog is ${weight} of PARLEY_BACKLOG_MAX ${most}; creates are refused at it`,
      advice: "see that workers run and the database answers; start more workers",
    });
  } else found.push({ rank: "note", part, what: `${jobs} jobs wait or are in work`, advice: "" });
  const parked = (await queue.listParked(COUNTED_MAX)).length;
  if (parked > 0) {
    const what = `${parked === COUNTED_MAX ? "at least " : ""}${parked} jobs are parked`;
    const advice = "npx parley jobs list says which and why; put them back or drop them";
    found.push({ rank: "warning", part, what, advice });
  }
  return found;
}

async function lookAtGaps({ store }: Stack): Promise<Finding[]> {
  const gaps = (await store.listGaps(COUNTED_MAX)).length;
  if (gaps === 0) return [];
  const least = gaps === COUNTED_MAX ? "at least " : "";
  const what = `the index lacks messages of ${least}${gaps} chats`;
  const advice =
    "the repair chore adds them while the index is well; where they stay, see the scheduler's log";
  return [{ rank: "warning", part: "search", what, advice }];
}

async function lookAtCounts(stack: Stack): Promise<Finding[]> {
  const { looked, drifts } = await sampleDrift(stack);
  const kinds = [...new Set(drifts.map((one) => one.kind))];
  return kinds.map((kind) => {
    const some = drifts.filter((one) => one.kind === kind).length;
    const what = `${some} of ${looked} counters that were looked at have drift (${kind})`;
    const rank = kind === "behind" || kind === "rows" ? "error" : "warning";
    return { rank, part: "counts", what, advice: `npx parley verify-counts; ${ADVICE[kind]}` };
  });
}

async function lookAtChores({ upkeep }: Stack, config: Config): Promise<Finding[]> {
  const part = "chores";
  const clocks = {
    "sync-counts": config.PARLEY_SYNC_CRON,
    "repair-index": config.PARLEY_REPAIR_CRON,
    "reseed-counters": config.PARLEY_REPAIR_CRON,
    purge: config.PARLEY_PURGE_CRON,
    ...(config.PARLEY_RETENTION_DAYS > 0 && { retention: config.PARLEY_RETENTION_CRON }),
  };
  const runs = new Map((await upkeep.listChoreRuns()).map((run) => [run.name, run.beganTime]));
  const now = new Date();
  const due = new Date(now.getTime() - LATE_MS);
  return Object.entries(clocks).map(([name, rule]): Finding => {
    const began = runs.get(name);
    if (began === undefined) {
      const what = `no scheduler ever began ${name}`;
      return { rank: "warning", part, what, advice: "run a scheduler" };
    }
    const what = `${name} last began at ${began.toISOString()}`;
    if (began >= lastTick(rule, due)) return { rank: "note", part, what, advice: "" };
    const advice = "see that a scheduler runs, and what its log says";
    return { rank: "warning", part, what: `${what} and is late`, advice };
  });
}

async function lookAtSettings(config: Config): Promise<Finding[]> {
  const found: Finding[] = [];
  const { PARLEY_WORKER_LANES: lanes, PARLEY_MYSQL_POOL_MAX: pool } = config;
  if (config.PARLEY_STACK === "production" && lanes >= pool) {
    const what = `PARLEY_WORKER_LANES is ${lanes}, PARLEY_MYSQL_POOL_MAX ${pool}`;
    const advice = "give a process more connections than lanes, so that batches do not wait";
    found.push({ rank: "warning", part: "settings", what, advice });
  }
  return found;
}
