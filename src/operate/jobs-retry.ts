import { z } from "zod";
import type { JobQueue } from "../core/job-queue.ts";
import { CHORE_ROWS_MAX } from "../core/limits.ts";
import { jobIdInput, plural } from "./job-words.ts";
import { operation } from "./operation.ts";

export const jobsRetryOperation = operation({
  name: "jobs retry",
  description: "put parked jobs back with all their tries",
  arguments: [{ flags: "[ids...]", description: "as jobs list shows them" }],
  options: [{ flags: "--all", description: "all that are parked now" }],
  examples: ["jobs retry --all", "jobs retry 31429462-3a09-4d49-9478-a9bb932ccd86:1:2"],
  input: z
    .object({ ids: z.array(jobIdInput).default([]), all: z.boolean().default(false) })
    .refine(({ ids, all }) => ids.length > 0 !== all, "either name jobs or say --all"),
  async run({ stack, signal }, { ids, all }, output) {
    if (all) {
      const { parked } = await stack.queue.counts();
      const back = await retryAll(stack.queue, signal, (done) =>
        output.progress(Math.min(done, parked), parked),
      );
      return output.sum({ putBack: back }, `${plural(back, "job")} put back`);
    }
    let back = 0;
    for (const id of ids) {
      if (await stack.queue.requeue(id)) back++;
      else {
        output.item({ id, fault: "is not parked" }, `${id} is not parked`);
        output.failed();
      }
    }
    output.sum({ putBack: back }, `${plural(back, "job")} put back`);
  },
});

/** Each job once: one that is parked again meanwhile stays. */
async function retryAll(
  queue: JobQueue,
  signal: AbortSignal,
  progress: (done: number) => void,
): Promise<number> {
  const seen = new Set<string>();
  let back = 0;
  let parkedAgain = 0;
  for (;;) {
    const page = await queue.listParked(CHORE_ROWS_MAX + parkedAgain);
    const fresh = page.filter(({ id }) => !seen.has(id));
    if (fresh.length === 0) return back;
    parkedAgain = page.length - fresh.length;
    for (const { id } of fresh) {
      if (signal.aborted) return back;
      seen.add(id);
      if (await queue.requeue(id)) back++;
    }
    progress(seen.size);
  }
}
