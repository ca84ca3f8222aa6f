import { z } from "zod";
import { JOB_TRIES_MAX } from "../core/limits.ts";
import { describeJob, jobIdInput, jobOf, subjectOf, wordsOf } from "./job-words.ts";
import { operation } from "./operation.ts";

export const jobsShowOperation = operation({
  name: "jobs show",
  description: "show all about one job, wherever it is",
  arguments: [{ flags: "<id>", description: "as jobs list shows it" }],
  options: [{ flags: "--body", description: "also what was written, and by whom" }],
  examples: ["jobs show 31429462-3a09-4d49-9478-a9bb932ccd86:1:2"],
  input: z.object({ id: jobIdInput, body: z.boolean().default(false) }),
  async run({ stack }, { id, body }, output) {
    const report = await stack.queue.find(id);
    if (report === undefined) {
      const words = `no job ${id}: it is done, was dropped, or never was; explain says which`;
      output.sum({ id, place: null }, words);
      return output.failed();
    }
    const about = describeJob(report);
    const job = jobOf(report);
    const words = [
      `job       ${id}`,
      `for       ${wordsOf(subjectOf(id))}`,
      `accepted  ${about.acceptTime ?? "at a time unknown: the job cannot be read"}`,
    ];
    if (job?.requestId !== undefined) words.push(`request   ${job.requestId}`);
    words.push(`place     ${about.place}`);
    if (about.nextTryTime !== undefined) words.push(`next try  ${about.nextTryTime}`);
    words.push(`tries     ${about.tries} of ${JOB_TRIES_MAX} failed`);
    words.push(`stalls    its worker ended ${about.stalls} times while it ran alone`);
    if (about.error !== "") words.push(`error     ${about.error}`);
    words.push(`body      ${about.bodyBytes} bytes${body ? "" : ", see --body"}`);
    const written = body && job?.kind === "message" ? { author: job.author, body: job.body } : {};
    if (written.body !== undefined) words.push(`author    ${written.author}`, written.body);
    const requestId = job?.requestId;
    output.sum({ ...about, requestId, ...written }, words.join("\n"));
  },
});
