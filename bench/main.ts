import { Command, Option } from "commander";
import { productionMissing } from "../test/support/servers.ts";
import { accepts } from "./accepts.ts";
import { apiProcesses } from "./api-processes.ts";
import { drain } from "./drain.ts";
import { embedded } from "./embedded.ts";
import { listing } from "./listing.ts";
import { type Bench, type Measured, TRIAL, WHOLE } from "./measurement.ts";
import { memory } from "./memory.ts";
import { pipeline } from "./pipeline.ts";
import { keep } from "./results.ts";
import { searching } from "./searching.ts";
import { syncing } from "./syncing.ts";
import { headOf, rowOf } from "./table.ts";

// Parley beside the floors of its own parts, in one run on one machine. It ends with 0 only where
// every goal holds.

const benches: Bench[] = [
  accepts,
  drain,
  pipeline,
  listing,
  searching,
  syncing,
  apiProcesses,
  memory,
  embedded,
];
const names = benches.flatMap((one) => one.names);

const program = new Command("bench")
  .description("measure Parley beside the floors of its own parts")
  .option("--json", "a line of JSON for each measurement in place of the table")
  .addOption(new Option("--only <name>", "one measurement").choices(names))
  .option("--trial", "small and short, to see that it runs; nothing is judged")
  .parse();
const { json, only, trial } = program.opts<{ json?: true; only?: string; trial?: true }>();

if (productionMissing !== undefined) {
  console.error(`the bench measures on the production stack: ${productionMissing}`);
  process.exit(2);
}
const found: Measured[] = [];
if (!json) console.log(headOf());
for (const one of benches) {
  if (only !== undefined && !one.names.includes(only)) continue;
  for (const measured of await one.run(trial ? TRIAL : WHOLE)) {
    if (only !== undefined && measured.name !== only) continue;
    const note = ["a trial, which judges nothing", measured.note].filter(Boolean).join("; ");
    const judged = trial ? { ...measured, ok: null, note } : measured;
    found.push(judged);
    console.log(json ? lineOf(judged) : rowOf(judged));
  }
}
if (only === undefined && !trial) keep(found);
process.exit(found.every((one) => one.ok !== false) ? 0 : 1);

/** Every field is there, null where there is nothing to say. */
function lineOf({ name, value, unit, floor, ratio, goal, ok, note }: Measured): string {
  const numbers = { value, unit, floor: floor ?? null, ratio: ratio ?? null };
  return JSON.stringify({ name, ...numbers, goal, ok, ...(note !== undefined && { note }) });
}
