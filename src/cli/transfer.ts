import { once as eventOf } from "node:events";
import { type FileHandle, open, rm } from "node:fs/promises";
import type { Command } from "commander";
import { type Config, isLoopback, readEnv } from "../config.ts";
import { connectionOf } from "../connect.ts";
import type { Logger } from "../log.ts";
import { plural } from "../operate/job-words.ts";
import { linesTo, UsageError } from "../operate/operation.ts";
import { exportApplication, reopenExport } from "../transfer/export.ts";
import { importFile, statePathOf } from "../transfer/import.ts";
import { openBar } from "./progress.ts";
import { EXIT, examplesOf, JSON_FLAG, once, token } from "./run.ts";

const TARGET = ["--target <host:port>", "the server; PARLEY_GRPC_ADDRESS without it"] as const;

interface ImportFlags {
  file: string;
  target?: string;
  application?: string;
  name: string;
  state?: string;
  json?: boolean;
}

interface ExportFlags {
  application: string;
  file: string;
  target?: string;
  resume?: boolean;
  json?: boolean;
}

/** The commands that bring JSON lines in and out, through the API. */
export function addTransfers(program: Command): void {
  program
    .command("import")
    .description("load JSON lines through the API; started again, it goes on where it was")
    .requiredOption("--file <path>", "the file to load")
    .option(...TARGET)
    .option(
      "--application <token>",
      "the application to fill; without it, a new one is created",
      token,
    )
    .option("--name <name>", "the name of a new application", "import")
    .option("--state <path>", "what is done so far; <file>.parley-import without it")
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      examplesOf("import --file chats.jsonl --name shop", "import --file chats.jsonl --json"),
    )
    .action((flags: ImportFlags) =>
      once({ name: "import" }, readEnv(), (config, log) => runImport(flags, config, log)),
    );
  program
    .command("export")
    .description("write an application as JSON lines, which import loads")
    .requiredOption("--application <token>", "the application", token)
    .requiredOption("--file <path>", "the file to write; - for the standard output")
    .option(...TARGET)
    .option("--resume", "go on with a file that is there")
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      examplesOf(
        "export --application 31429462-3a09-4d49-9478-a9bb932ccd86 --file shop.jsonl",
        "export --application 31429462-3a09-4d49-9478-a9bb932ccd86 --file - | gzip > shop.jsonl.gz",
      ),
    )
    .action((flags: ExportFlags) =>
      once({ name: "export" }, readEnv(), (config, log) => runExport(flags, config, log)),
    );
}

async function runImport(flags: ImportFlags, config: Config, log: Logger): Promise<void> {
  const { file, application, name, json = false } = flags;
  const statePath = flags.state ?? statePathOf(file);
  const bar = openBar(process.stderr, "messages");
  const result = await interruptible(
    `the same command goes on where it was; ${statePath} says where that is`,
    (signal) =>
      importFile({
        ...targetOf(flags.target, config, log),
        signal,
        file,
        statePath,
        applicationToken: application,
        applicationName: name,
        badLine: (line, why) => bar.say(`line ${line}: ${why}`),
        progress: bar.show,
      }).finally(bar.end),
  );
  if (result === undefined) return;
  const { applicationToken, chats, messages, badLines } = result;
  linesTo((line) => process.stdout.write(`${line}\n`), { json }).sum(
    result,
    `${messages} messages in ${chats} chats are in application ${applicationToken}; ` +
      `${badLines} bad lines`,
  );
  if (badLines > 0) process.exitCode = EXIT.wrong;
}

async function runExport(flags: ExportFlags, config: Config, log: Logger): Promise<void> {
  const { file, application: applicationToken, resume = false, json = false } = flags;
  const plain = file === "-";
  if (plain && resume) throw new UsageError("--resume needs a file");
  const { handle, after } = plain
    ? { handle: undefined, after: undefined }
    : await (resume ? reopenExport(file) : createFile(file));
  const bar = openBar(process.stderr, "messages");
  const sum = await interruptible(
    plain ? "what was written is not all" : "the same command with --resume goes on",
    (signal) =>
      exportApplication({
        ...targetOf(flags.target, config, log),
        signal,
        applicationToken,
        after,
        write: handle === undefined ? writeOut : (lines) => handle.appendFile(lines),
        progress: bar.show,
      }).finally(async () => {
        bar.end();
        await handle?.sync();
        const begun = handle === undefined || resume || (await handle.stat()).size > 0;
        await handle?.close();
        // A refused export leaves no empty file that would be in the way of the next one.
        if (!begun) await rm(file, { force: true });
      }),
  );
  if (sum === undefined) return;
  const { chats, messages } = sum;
  // Where the lines go to the standard output, they are alone there.
  const output = plain ? process.stderr : process.stdout;
  linesTo((line) => output.write(`${line}\n`), { json }).sum(
    sum,
    `written: ${plural(messages, "message")} of ${plural(chats, "chat")}`,
  );
}

/** Runs until it is done, or a signal ends it: then it says how to go on, and returns nothing. */
async function interruptible<T>(
  hint: string,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const stop = new AbortController();
  const abort = () => stop.abort();
  // npm hands a terminal's signal on, so it may come twice: the first one counts.
  process.on("SIGINT", abort).on("SIGTERM", abort);
  try {
    return await run(stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.stderr.write(`Interrupted: ${hint}.\n`);
    process.exitCode = EXIT.interrupted;
    return undefined;
  } finally {
    process.off("SIGINT", abort).off("SIGTERM", abort);
  }
}

function targetOf(asked: string | undefined, config: Config, log: Logger) {
  const target = asked ?? config.PARLEY_GRPC_ADDRESS;
  const clear = config.PARLEY_CLIENT_KEY !== "" && config.PARLEY_CLIENT_CA_FILE === "";
  if (clear && !isLoopback(target)) log.warn({ target }, "the key is sent in the clear");
  return { target, connection: connectionOf(config) };
}

async function createFile(file: string): Promise<{ handle: FileHandle; after: undefined }> {
  const handle = await open(file, "wx").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
    throw new UsageError(`${file} is there: --resume goes on with it`);
  });
  return { handle, after: undefined };
}

async function writeOut(lines: string): Promise<void> {
  if (!process.stdout.write(lines)) await eventOf(process.stdout, "drain");
}
