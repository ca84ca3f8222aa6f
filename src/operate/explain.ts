import { z } from "zod";
import { jobIdOf } from "../core/jobs.ts";
import { isUnavailable } from "../errors.ts";
import { describeJob, plural, subjectOf, timeOf, tokenInput, wordsOf } from "./job-words.ts";
import { operation, type Parts } from "./operation.ts";

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
  examples: [
    "explain 31429462-3a09-4d49-9478-a9bb932ccd86 1 2",
    "explain 31429462-3a09-4d49-9478-a9bb932ccd86 1",
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
    const next = nextStep(found, id, away);
    const words = [wordsOf(subjectOf(id)), ...wordsOfAll(found)];
    words.push(...away.map((part) => `could not ask: ${part}`), `next: ${next}`);
    output.sum({ id, ...factsOf(found), away, next }, words.join("\n"));
    if (away.length > 0 || absenceOf(found, subjectOf(id).number) !== undefined) output.failed();
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
  const given = await fromIntake(async () => (await stack.intake.counts([counter]))[0]);
  const own = { applicationToken, chatNumber: number };
  const messages =
    chatNumber === undefined
      ? await fromIntake(async () => (await stack.intake.counts([own]))[0] ?? 0)
      : undefined;
  const report = await fromIntake(() => stack.queue.find(id));
  const chatJob =
    chatNumber === undefined
      ? undefined
      : await fromIntake(() => stack.queue.find(jobIdOf({ applicationToken, number: chatNumber })));
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
  const chat =
    chatNumber === undefined
      ? undefined
      : await fromStore(async () => ({
          row: await stack.store.findChat({ applicationToken, chatNumber }),
        }));
  const voids = await fromStore(() => stack.ledger.listVoids(counter, range, 1));
  const key = { applicationToken, chatNumber: chatNumber ?? number };
  const indexed =
    chatNumber === undefined
      ? undefined
      : await ask("search index", () => stack.index.count(key, range));
  const lacksChat = chat !== undefined && chat.row === undefined && chatJob === undefined;
  return { given, messages, report, counts, attended, application, lacksChat, row, voids, indexed };
}

/** Why there is nothing; undefined where something is or was there, or may be on its way. */
function absenceOf({ given, report, application, lacksChat, row, voids }: Found, number: number) {
  if (row !== undefined || report !== undefined) return undefined;
  if (application === undefined || voids === undefined || voids.length > 0) return undefined;
  if (application.row === undefined) return "the application does not exist";
  if (lacksChat) return "the chat does not exist";
  // A counter without a value was lost, and may have given the number.
  return given !== undefined && number > given ? "this number was not given yet" : undefined;
}

/** What is known, for programs; what could not be asked for is left out. */
function factsOf({ given, messages, report, application, row, voids, indexed }: Found) {
  const { version, deleteTime } = { version: undefined, deleteTime: undefined, ...row };
  return {
    given,
    messages,
    version,
    deleteTime,
    job: report && describeJob(report),
    stored: application && row !== undefined,
    searchable: indexed === undefined ? undefined : indexed > 0,
    void: row === undefined && voids !== undefined ? voids.length > 0 : undefined,
  };
}

/** What is known, a line each. */
function wordsOfAll(found: Found): string[] {
  const words: string[] = [];
  const { given, messages, report, row, voids, indexed } = found;
  const what = messages === undefined ? "numbers" : "chat numbers";
  if (Number.isNaN(given)) words.push("its counter holds what is no number");
  else if (given !== undefined) words.push(`${what} given up to ${given}`);
  if (report !== undefined) {
    const { place, acceptTime, tries, stalls, error, nextTryTime } = describeJob(report);
    words.push(`its job is ${place}, accepted ${acceptTime ?? "at a time unknown"}`);
    if (tries > 0) words.push(`tried ${tries} times without success`);
    if (stalls > 0) words.push(`its worker ended ${stalls} times while it ran alone`);
    if (error !== "") words.push(`last error: ${error}`);
    if (nextTryTime !== undefined) words.push(`tried again at ${nextTryTime}`);
  }
  if (messages !== undefined && messages > 0) {
    words.push(`${plural(messages, "message")} of it numbered`);
  }
  if (row !== undefined) words.push(`stored, created ${timeOf(row.createTime!.getTime())}`);
  const version = row !== undefined && "version" in row ? row.version : 1;
  const deleteTime = row !== undefined && "deleteTime" in row ? row.deleteTime : undefined;
  if (version > 1) words.push(`changed since, version ${version}`);
  if (deleteTime !== undefined) {
    words.push(`deleted ${timeOf(deleteTime.getTime())}; a tombstone is left`);
  } else if (indexed !== undefined && row !== undefined) {
    words.push(indexed > 0 ? "can be found by search" : "cannot be found by search yet");
  }
  if (voids !== undefined && voids.length > 0 && row === undefined) words.push("void");
  return words;
}

/** What a person does about it. */
function nextStep(found: Found, id: string, away: string[]): string {
  const { report, row, voids, indexed } = found;
  if (row !== undefined && indexed === 0) {
    return "wait: the scheduler gives the index what it lacks, if one runs";
  }
  if (row === undefined && report !== undefined) return nextStepOf(report, found, id);
  if (row === undefined && voids !== undefined && voids.length > 0) {
    return "nothing to do: the number was lost, or what had it was dropped or deleted";
  }
  if (away.length > 0) return "ask again when all parts are there";
  if (row !== undefined) return "nothing to do";
  const absence = absenceOf(found, subjectOf(id).number);
  if (absence !== undefined) return `nothing to do: ${absence}`;
  return "ask again: it is on its way; where this answer stays, the number was lost";
}

function nextStepOf(report: NonNullable<Found["report"]>, found: Found, id: string): string {
  if (report.place === "parked") {
    return `npx parley jobs retry ${id}, or npx parley jobs drop ${id} --yes`;
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
