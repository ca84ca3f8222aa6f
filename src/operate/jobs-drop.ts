import { z } from "zod";
import { isVoid } from "../core/dense.ts";
import { jobIdInput, plural, subjectOf, wordsOf } from "./job-words.ts";
import { operation, type Parts } from "./operation.ts";

export const jobsDropOperation = operation({
  name: "jobs drop",
  description: "take parked jobs away for good; their numbers become void",
  arguments: [{ flags: "<ids...>", description: "as jobs list shows them" }],
  options: [{ flags: "--yes", description: "do it; what is dropped cannot be brought back" }],
  input: z.object({ ids: z.array(jobIdInput), yes: z.boolean().default(false) }),
  async run(parts, { ids, yes }, output) {
    let dropped = 0;
    for (const id of ids) {
      const refusal = await refusalOf(parts, id);
      if (refusal !== undefined) {
        output.line(`${id} ${refusal}`);
        output.failed();
      } else if (!yes) {
        output.line(`${id} would be dropped: ${wordsOf(subjectOf(id))}`);
      } else if (await drop(parts, id)) {
        dropped++;
        output.line(`${id} was dropped; its number ${await fateOf(parts, id)}`);
      } else {
        output.line(`${id} was put back at the same time, so it stays`);
        output.failed();
      }
    }
    if (!yes) throw new Error("nothing was dropped: say --yes if that is meant");
    output.line(`${plural(dropped, "job")} dropped`);
  },
});

/** Why a job cannot be dropped, undefined where it can. */
async function refusalOf({ stack }: Parts, id: string): Promise<string | undefined> {
  const report = await stack.queue.find(id);
  if (report === undefined) return "is no job";
  if (report.place !== "parked") return `is not parked but ${report.place}`;
  const { counter, number } = subjectOf(id);
  if (counter.chatNumber !== undefined) return undefined;
  const { applicationToken } = counter;
  const [messages] = await stack.intake.counts([{ applicationToken, chatNumber: number }]);
  if (messages === undefined || messages === 0) return undefined;
  return `stays: its chat has ${plural(messages, "message")}, which would be left without it`;
}

/**
 * The void comes first. Where this ends in between the number is void and has a parked job, which
 * wins over it for readers, and can be dropped or put back as before; the other way round the
 * number would be a hole, at which every list ends. A job that is put back in between becomes a
 * row, which is taken out of the voids in the same transaction.
 */
async function drop({ stack }: Parts, id: string): Promise<boolean> {
  const { counter, number } = subjectOf(id);
  await stack.ledger.insertVoids(counter, { firstNumber: number, lastNumber: number });
  const dropped = await stack.queue.drop(id);
  const { applicationToken, chatNumber } = counter;
  if (chatNumber !== undefined) stack.wakeup.tell([{ applicationToken, chatNumber }]);
  return dropped;
}

async function fateOf({ core }: Parts, id: string): Promise<string> {
  const { counter, number } = subjectOf(id);
  return (await isVoid(core, counter, number)) ? "is void" : "has a row, which stays";
}
