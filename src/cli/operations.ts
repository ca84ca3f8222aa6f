import { existsSync } from "node:fs";
import type { Command } from "commander";
import { type Config, ConfigError, readEnv } from "../config.ts";
import type { Logger } from "../log.ts";
import { askRunningServer } from "../operate/door.ts";
import { linesTo, type Operation, type Output, runOperation } from "../operate/operation.ts";
import { operations } from "../operate/operations.ts";
import { openBar } from "./progress.ts";
import { EXIT, examplesOf, JSON_FLAG, once } from "./run.ts";

/** What the first word of two-word commands is about. */
const GROUPS: Record<string, string> = {
  jobs: "list, show, retry and drop the jobs that could not be stored",
  epoch: "begin a new epoch of numbers",
};

/** Makes a command of every operation; the first word of two is a group. */
export function addOperations(program: Command): void {
  for (const one of operations) addOperation(program, one);
}

function addOperation(program: Command, one: Operation): void {
  const words = one.name.split(" ");
  const last = words.pop()!;
  let group = program;
  for (const word of words) {
    const present = group.commands.find((command) => command.name() === word);
    group = present ?? group.command(word).description(GROUPS[word]!);
  }
  const command = group.command(last).description(one.description);
  for (const { flags, description } of one.arguments ?? []) command.argument(flags, description);
  for (const option of one.options ?? []) {
    command.option(option.flags, option.description, option.default);
  }
  command.option(...JSON_FLAG).addHelpText("after", examplesOf(...one.examples));
  command.action(() => {
    const { json = false, ...typed }: Record<string, unknown> = command.opts();
    command.registeredArguments.forEach((argument, at) => {
      typed[argument.name()] = command.processedArgs[at];
    });
    return once({ name: one.name }, readEnv(), async (config, log) => {
      const { output, end } = openOutput(json === true);
      await operate(one, typed, config, log, output).finally(end);
    });
  });
}

/** Runs an operation: in the server that has the embedded stack's folder, or else here. */
async function operate(
  one: Operation,
  typed: Record<string, unknown>,
  config: Config,
  log: Logger,
  output: Output,
): Promise<void> {
  if (config.PARLEY_STACK === "embedded") {
    const asked = { name: one.name, typed };
    if (await askRunningServer(config.PARLEY_DATA_DIR, asked, output)) return;
    // To make one would be to say that all is well, where the setting is wrong.
    if (!existsSync(config.PARLEY_DATA_DIR)) {
      const folder = config.PARLEY_DATA_DIR;
      throw new ConfigError(`PARLEY_DATA_DIR: there is no ${folder}; \`npm start\` makes it`);
    }
  }
  const { openSystem } = await import("../system.ts");
  const { stack, core } = await openSystem(config, [], log, one);
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  try {
    await runOperation(one, typed, { stack, core, config, signal: stop.signal }, output);
  } finally {
    await stack.stop();
  }
}

/** Lines on the standard output, progress as a bar on the other one. */
function openOutput(json: boolean): { output: Output; end(): void } {
  const bar = openBar(process.stderr, "done");
  const output: Output = {
    ...linesTo((line) => process.stdout.write(`${line}\n`), { json }),
    progress: (done, total) => bar.show({ done, total, count: done }),
    failed: () => {
      process.exitCode = EXIT.wrong;
    },
  };
  return { output, end: bar.end };
}
