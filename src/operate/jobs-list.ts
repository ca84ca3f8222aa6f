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
    { flags: "--json", description: "one line of JSON" },
  ],
  input: z.object({
    limit: z.coerce.number({ error: bound }).int(bound).min(1, bound).max(LIMIT.max, bound),
    json: z.boolean().default(false),
  }),
  async run({ stack }, { limit, json }, output) {
    const [counts, parked] = await Promise.all([
      stack.queue.counts(),
      stack.queue.listParked(limit),
    ]);
    const jobs = parked.map(describeJob);
    if (json) return output.line(JSON.stringify({ counts, parked: jobs }));
    output.line(countsLine(counts));
    for (const job of jobs) {
      const stalls = job.stalls > 0 ? "" : `${plural(job.tries, "failed attempt")}: `;
      output.line(job.id);
      output.line(
        `  ${wordsOf(subjectOf(job.id))}, accepted ${job.acceptTime ?? "at a time unknown"}, ` +
          `body ${plural(job.bodyBytes, "byte")}`,
      );
      output.line(`  ${stalls}${job.error}`);
    }
    if (jobs.length < counts.parked) {
      output.line(`${counts.parked - jobs.length} more are parked: see --limit`);
    }
  },
});
