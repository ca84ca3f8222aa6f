import cliProgress from "cli-progress";
import type { Command } from "commander";
import type { Config } from "./config.ts";
import type { Logger } from "./log.ts";
import { askRunningServer } from "./operate/door.ts";
import { type Operation, type Output, runOperation } from "./operate/operation.ts";
import { operations } from "./operate/operations.ts";
import { openSystem } from "./system.ts";

/** Runs one command with the settings, and says why it failed. */
type Once = (name: string, run: (config: Config, log: Logger) => Promise<void>) => Promise<void>;

/** Makes a command of every operation; the first word of two is a group. */
export function addOperations(program: Command, once: Once): void {
  for (const one of operations) addOperation(program, one, once);
}

function addOperation(program: Command, one: Operation, once: Once): void {
  const words = one.name.split(" ");
  const last = words.pop()!;
  let group = program;
  for (const word of words) {
    const present = group.commands.find((command) => command.name() === word);
    group = present ?? group.command(word).description(`${word}: see its commands`);
  }
  const command = group.command(last).description(one.description);
  for (const { flags, description } of one.arguments ?? []) command.argument(flags, description);
  for (const option of one.options ?? []) {
    command.option(option.flags, option.description, option.default);
  }
  command.action(() => {
    const typed: Record<string, unknown> = { ...command.opts() };
    command.registeredArguments.forEach((argument, at) => {
      typed[argument.name()] = command.processedArgs[at];
    });
    return once(one.name, (config, log) => operate(one, typed, config, log));
  });
}

/** Runs an operation: in the server that has the embedded stack's folder, or else here. */
async function operate(
  one: Operation,
  typed: Record<string, unknown>,
  config: Config,
  log: Logger,
): Promise<void> {
  const { output, end } = openOutput();
  try {
    if (config.PARLEY_STACK === "embedded") {
      const asked = { name: one.name, typed };
      if (await askRunningServer(config.PARLEY_DATA_DIR, asked, output)) return;
    }
    const { stack, core } = await openSystem(config, [], log, one);
    const stop = new AbortController();
    process.once("SIGINT", () => stop.abort());
    try {
      await runOperation(one, typed, { stack, core, config, signal: stop.signal }, output);
    } finally {
      await stack.stop();
    }
  } finally {
    end();
  }
}

/** Lines on the standard output, progress as a bar on the other one. */
function openOutput(): { output: Output; end(): void } {
  const bar = new cliProgress.SingleBar(
    { stream: process.stderr, clearOnComplete: true },
    cliProgress.Presets.legacy,
  );
  let begun = false;
  const output: Output = {
    line: (text) => process.stdout.write(`${text}\n`),
    progress: (done, total) => {
      if (!begun) bar.start(total, done);
      begun = true;
      bar.setTotal(total);
      bar.update(done);
    },
    failed: () => {
      process.exitCode = 1;
    },
  };
  return { output, end: () => bar.stop() };
}
