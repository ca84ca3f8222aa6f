import { z } from "zod";
import { jobIdOf } from "../core/jobs.ts";
import { isUnavailable } from "../errors.ts";
import { describeJob, plural, subjectOf, timeOf, tokenInput, wordsOf } from "./job-words.ts";
import { type Output, operation, type Parts } from "./operation.ts";

const bound = "must be a whole number from 1 on";
const numberInput = z.coerce.number({ error: bound }).int(bound).min(1, bound);

export const explainOperation = operation({
  name: "explain",
  description: "say where a message is, or a chat, and what is to be done about it",
  arguments: [
    { flags: "<token>", description: "of the application" },
    { flags: "<chat>", description: "number of the chat" },
    { flags: "[number]", description: "number of the message; the chat itself without one" },
  ],
  input: z.object({ token: tokenInput, chat: numberInput, number: numberInput.optional() }),
  async run(parts, { token: applicationToken, chat, number }, output) {
    const id = jobIdOf(
      number === undefined
        ? { applicationToken, number: chat }
        : { applicationToken, chatNumber: chat, number },
    );
    const away: string[] = [];
    const found = await look(parts, id, away);
    output.line(wordsOf(subjectOf(id)));
    tell(found, output);
    for (const part of away) output.line(`could not ask: ${part}`);
    output.line(`next: ${nextStep(found, id, away)}`);
    if (away.length > 0) output.failed();
  },
});

type Found = Awaited<ReturnType<typeof look>>;

/** Asks every part; those that are away are noted. The job comes first: it can become a row. */
async function look({ stack }: Parts, id: string, away: string[]) {
  const { counter, number } = subjectOf(id);
  const { applicationToken, chatNumber } = counter;
  const ask = async <T>(part: string, question: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await question();
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      if (!away.includes(part)) away.push(part);
      return undefined;
    }
  };
  const fromIntake = <T>(question: () => Promise<T>) => ask("counters and jobs", question);
  const fromStore = <T>(question: () => Promise<T>) => ask("database", question);
  const range = { firstNumber: number, lastNumber: number };
  const given = await fromIntake(async () => (await stack.intake.counts([counter]))[0] ?? 0);
  const own = { applicationToken, chatNumber: number };
  const messages =
    chatNumber === undefined
      ? await fromIntake(async () => (await stack.intake.counts([own]))[0] ?? 0)
      : undefined;
  const report = await fromIntake(() => stack.queue.find(id));
  const counts = await fromIntake(() => stack.queue.counts());
  const attended = await fromIntake(() => stack.queue.attended());
  const application = await fromStore(async () => ({
    row: await stack.store.findApplication(applicationToken),
  }));
  const row = await fromStore(async () => {
    if (chatNumber === undefined) {
      return stack.store.findChat({ applicationToken, chatNumber: number });
    }
    return (await stack.store.findMessages({ applicationToken, chatNumber }, [number]))[0];
  });
  const voids = await fromStore(() => stack.ledger.listVoids(counter, range, 1));
  const key = { applicationToken, chatNumber: chatNumber ?? number };
  const indexed =
    chatNumber === undefined
      ? undefined
      : await ask("search index", () => stack.index.count(key, range));
  return { given, messages, report, counts, attended, application, row, voids, indexed };
}

/** What is known, a line each. */
function tell(found: Found, output: Output): void {
  const { given, messages, report, application, row, voids, indexed } = found;
  if (application !== undefined && application.row === undefined) {
    output.line("the application does not exist");
  }
  if (given !== undefined) output.line(`numbers given up to ${given}`);
  if (report !== undefined) {
    const { place, acceptTime, tries, stalls, error, nextTryTime } = describeJob(report);
    output.line(`its job is ${place}, accepted ${acceptTime ?? "at a time unknown"}`);
    if (tries > 0) output.line(`tried ${tries} times without success`);
    if (stalls > 0) output.line(`its worker ended ${stalls} times while it ran alone`);
    if (error !== "") output.line(`last error: ${error}`);
    if (nextTryTime !== undefined) output.line(`tried again at ${nextTryTime}`);
  }
  if (messages !== undefined && messages > 0) {
    output.line(`${plural(messages, "message")} of it accepted`);
  }
  if (row !== undefined) output.line(`stored, created ${timeOf(row.createTime!.getTime())}`);
  const version = row !== undefined && "version" in row ? row.version : 1;
  const deleteTime = row !== undefined && "deleteTime" in row ? row.deleteTime : undefined;
  if (version > 1) output.line(`changed since, version ${version}`);
  if (deleteTime !== undefined) {
    output.line(`deleted ${timeOf(deleteTime.getTime())}; a tombstone is left`);
  } else if (indexed !== undefined && row !== undefined) {
    output.line(indexed > 0 ? "can be found by search" : "cannot be found by search yet");
  }
  if (voids !== undefined && voids.length > 0 && row === undefined) output.line("void");
}

/** What a person does about it. */
function nextStep(found: Found, id: string, away: string[]): string {
  const { given, report, application, row, voids, indexed } = found;
  if (row !== undefined) {
    if (indexed === 0) return "wait: the scheduler gives the index what it lacks, if one runs";
    return "nothing to do";
  }
  if (report !== undefined) return nextStepOf(report, found, id);
  if (voids !== undefined && voids.length > 0) {
    return "nothing to do: the number was skipped after a loss, or its job was dropped";
  }
  if (away.length > 0) return "ask again when all parts are there";
  if (application?.row === undefined) return "nothing to do";
  if (subjectOf(id).number > given!) return "nothing to do: this number was not given yet";
  return "ask again: it is on its way; where this answer stays, the number was lost";
}

function nextStepOf(report: NonNullable<Found["report"]>, found: Found, id: string): string {
  if (report.place === "parked") {
    return `npm run jobs -- retry ${id}, or npm run jobs -- drop ${id} --yes`;
  }
  if (found.attended === false) return "start a worker: none has looked for jobs lately";
  switch (report.place) {
    case "waiting":
      return `wait: the worker is behind by ${plural(found.counts?.waiting ?? 0, "job")}`;
    case "in work":
      return "wait: a worker has it; it holds its jobs while the database is away";
    case "delayed":
      return "wait: it is tried again";
    default:
      return "wait: it was in work when its worker ended, and is tried with nothing beside it";
  }
}
