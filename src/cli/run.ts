import { getSystemErrorMessage } from "node:util";
import { InvalidArgumentError } from "commander";
import { type Config, ConfigError, toConfig } from "../config.ts";
import { type Logger, openLog } from "../log.ts";
import { UsageError } from "../operate/operation.ts";

/** What a command ends with; `docs/operations.md` says the same to users. */
export const EXIT = {
  fine: 0,
  /** It found something wrong, or could not do what it was asked for. */
  wrong: 1,
  /** The command line or a setting is wrong; nothing was done. */
  usage: 2,
  /** A signal ended it before it was done; the same command goes on. As shells say SIGINT. */
  interrupted: 130,
} as const;

/** The flag of every command that says what it found. */
export const JSON_FLAG = ["--json", "lines of JSON; the last one is the summary"] as const;

/** The end of a command's help: how it is typed. */
export function examplesOf(...examples: string[]): string {
  return `\nExamples:\n${examples.map((one) => `  $ npx parley ${one}`).join("\n")}`;
}

const TOKEN = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** The token of an application, as a command line names it. */
export function token(value: string): string {
  if (TOKEN.test(value)) return value;
  throw new InvalidArgumentError("It must be a lower-case UUID of version 4.");
}

/** Reads the settings and runs one command. */
export function once(
  { name, logTo = "stderr" }: { name: string; logTo?: "stdout" | "stderr" },
  env: NodeJS.ProcessEnv,
  run: (config: Config, log: Logger) => Promise<void>,
): Promise<void> {
  return attempt(name, async () => {
    const config = toConfig(env);
    const { log, flush } = openLog({ level: config.PARLEY_LOG_LEVEL, process: name, to: logTo });
    // However it ends: an error that nobody caught must not take its last lines along.
    process.once("exit", flush);
    await run(config, log);
  });
}

/** Runs one command, and says in one line why it failed. */
export async function attempt(name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    const hint = error instanceof ConfigError ? "settings are wrong:\n" : "";
    process.stderr.write(`parley ${name}: ${hint}${reasonOf(error)}\n`);
    const usage = error instanceof ConfigError || error instanceof UsageError;
    process.exitCode = usage ? EXIT.usage : EXIT.wrong;
  }
}

/** The error's words and those of what caused it, without a gRPC client's notes to itself. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { path, errno } = error as NodeJS.ErrnoException;
  if (path !== undefined && errno !== undefined) return `${path}: ${getSystemErrorMessage(errno)}`;
  const why = error.cause instanceof Error ? error.cause.message : "";
  const cause = error.message.includes(why) ? "" : `: ${why}`;
  return `${error.message}${cause}`.replace(/ ?Resolution note: ?$/, "");
}
