import { z } from "zod";
import { countsLine, describeJob, plural, subjectOf, wordsOf } from "./job-words.ts";
import { operation } from "./operation.ts";

const LIMIT = { default: 100, max: 10_000 };
const bound = `must be a whole number from 1 to ${LIMIT.max}`;

export const jobsListOperation = operation({
  name: "jobs list",
  description: "list parked jobs, oldest first, and say how many jobs are where",
  options: [
    { flags: "--limit <number>", description: "at most so many", default: String(LIMIT.default) },
  ],
  examples: ["jobs list", "jobs list --limit 10 --json"],
  input: z.object({
    limit: z.coerce.number({ error: bound }).int(bound).min(1, bound).max(LIMIT.max, bound),
  }),
  async run({ stack }, { limit }, output) {
    const [counts, parked] = await Promise.all([
      stack.queue.counts(),
      stack.queue.listParked(limit),
    ]);
    const jobs = parked.map(describeJob);
    for (const job of jobs) {
      const stalls = job.stalls > 0 ? "" : `${plural(job.tries, "failed attempt")}: `;
      const accepted = `accepted ${job.acceptTime ?? "at a time unknown"}`;
      const about = [wordsOf(subjectOf(job.id)), accepted, `body ${plural(job.bodyBytes, "byte")}`];
      output.item(job, `${job.id}\n  ${about.join(", ")}\n  ${stalls}${job.error}`);
    }
    const more = counts.parked - jobs.length;
    const hint = more > 0 ? `\n${more} more are parked: see --limit` : "";
    output.sum(counts, `${countsLine(counts)}${hint}`);
  },
});
