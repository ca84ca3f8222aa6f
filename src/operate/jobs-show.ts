import { z } from "zod";
import { JOB_TRIES_MAX } from "../core/limits.ts";
import { describeJob, jobIdInput, jobOf, subjectOf, wordsOf } from "./job-words.ts";
import { operation } from "./operation.ts";

export const jobsShowOperation = operation({
  name: "jobs show",
  description: "show all about one job, wherever it is",
  arguments: [{ flags: "<id>", description: "as jobs list shows it" }],
  options: [{ flags: "--body", description: "also what was written, and by whom" }],
  input: z.object({ id: jobIdInput, body: z.boolean().default(false) }),
  async run({ stack }, { id, body }, output) {
    const report = await stack.queue.find(id);
    if (report === undefined) {
      output.line(`no job ${id}: it is done, was dropped, or never was; explain says which`);
      return output.failed();
    }
    const about = describeJob(report);
    const job = jobOf(report);
    output.line(`job       ${id}`);
    output.line(`for       ${wordsOf(subjectOf(id))}`);
    output.line(`accepted  ${about.acceptTime ?? "at a time unknown: the job cannot be read"}`);
    if (job?.requestId !== undefined) output.line(`request   ${job.requestId}`);
    output.line(`place     ${about.place}`);
    if (about.nextTryTime !== undefined) output.line(`next try  ${about.nextTryTime}`);
    output.line(`tries     ${about.tries} of ${JOB_TRIES_MAX} failed`);
    output.line(`stalls    its worker ended ${about.stalls} times while it ran alone`);
    if (about.error !== "") output.line(`error     ${about.error}`);
    output.line(`body      ${about.bodyBytes} bytes${body ? "" : ", see --body"}`);
    if (body && job?.kind === "message") {
      output.line(`author    ${job.author}`);
      output.line(job.body);
    }
  },
});
