import { credentials, Metadata } from "@grpc/grpc-js";
import cliProgress from "cli-progress";
import { Command } from "commander";
import { HealthCheckRequest, HealthClient } from "../gen/grpc/health/v1/health.ts";
import { type Config, ConfigError, readEnv, toConfig } from "./config.ts";
import { importFile } from "./import.ts";
import { type Logger, openLog } from "./log.ts";
import { askRunningServer } from "./operate/door.ts";
import { type Operation, type Output, runOperation } from "./operate/operation.ts";
import { operations } from "./operate/operations.ts";
import { runUntilSignal } from "./process.ts";
import { migrateStack } from "./stacks/open.ts";
import { openSystem, type Part } from "./system.ts";

const HEALTH_TIMEOUT_MS = 2_000;

const program = new Command("parley").description("A chat backend over gRPC.");

const parts: [string, Part[], string][] = [
  ["all", ["api", "worker", "scheduler"], "the API, a worker and a scheduler in one process"],
  ["api", ["api"], "the gRPC server"],
  ["worker", ["worker"], "the worker that writes rows and the search index"],
  ["scheduler", ["scheduler"], "the clock of the chores"],
];
for (const [name, which, description] of parts) {
  program
    .command(name)
    .description(`run ${description}`)
    .action(() => serve(name, which));
}

program
  .command("migrate")
  .description("bring the database up to date")
  .action(() =>
    once("migrate", async (config, log) => {
      const done = await migrateStack(config);
      log.info({ migrations: done }, done.length > 0 ? "migrated" : "nothing to migrate");
    }),
  );

for (const one of operations) addOperation(one);

program
  .command("health")
  .description("ask the API whether it serves; exit code 0 where it does")
  .action(() => once("health", (config) => checkHealth(config.PARLEY_GRPC_ADDRESS)));

program
  .command("import")
  .description("load JSON lines (chat, author, body) through the API")
  .requiredOption("--file <path>", "the file to load")
  .option("--target <host:port>", "the server; PARLEY_GRPC_ADDRESS unless told otherwise")
  .option("--application <token>", "the application to fill; without it, a new one is created")
  .option("--name <name>", "the name of a new application", "import")
  .action((options: { file: string; target?: string; application?: string; name: string }) =>
    once("import", async (config) => {
      const result = await importFile({
        file: options.file,
        target: options.target ?? config.PARLEY_GRPC_ADDRESS,
        applicationToken: options.application,
        applicationName: options.name,
        output: process.stderr,
      });
      process.stdout.write(`${JSON.stringify(result)}\n`);
      if (result.badLines > 0) process.exitCode = 1;
    }),
  );

/** Runs parts on the configured stack until a signal. */
function serve(name: string, which: Part[]): Promise<void> {
  return once(name, async (config, log) => {
    const { processes, api, stack } = await openSystem(config, which, log);
    const announce = async () => {
      if (api !== undefined) greet(config, api.port);
      log.info({ stack: stack.name }, "started");
    };
    try {
      await runUntilSignal([...processes, { start: announce, stop: async () => {} }], log);
    } finally {
      await stack.stop();
    }
  });
}

/** Makes a command of an operation; the first word of two is a group. */
function addOperation(one: Operation): void {
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

/** What a person who has just started the server wants to know. */
function greet(config: Config, port: number): void {
  const address = config.PARLEY_GRPC_ADDRESS.replace(/:\d+$/, `:${port}`);
  const place = config.PARLEY_STACK === "embedded" ? `, data in ${config.PARLEY_DATA_DIR}` : "";
  process.stdout.write(
    `Parley serves gRPC on ${address} (${config.PARLEY_STACK} stack${place}). Try:\n` +
      `  grpcurl -plaintext -d '{"application":{"name":"test name"}}' ${address} ` +
      `parley.v1.ApplicationService/CreateApplication\n`,
  );
}

async function checkHealth(address: string): Promise<void> {
  const target = address.replace(/^0\.0\.0\.0:/, "127.0.0.1:");
  const client = new HealthClient(target, credentials.createInsecure());
  const deadline = Date.now() + HEALTH_TIMEOUT_MS;
  try {
    const status = await new Promise<number>((resolve, reject) => {
      const request = HealthCheckRequest.fromPartial({});
      client.check(request, new Metadata(), { deadline }, (error, answer) =>
        error === null ? resolve(answer.status) : reject(error),
      );
    });
    process.exitCode = status === 1 ? 0 : 1;
  } finally {
    client.close();
  }
}

/** The error's words and those of what caused it, without a gRPC client's notes to itself. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return `${error.message}${cause}`.replace(/ ?Resolution note: ?$/, "");
}

/** Reads the settings, runs one command, and says in one line why it failed. */
async function once(
  name: string,
  run: (config: Config, log: Logger) => Promise<void>,
): Promise<void> {
  try {
    const config = toConfig(readEnv());
    const to = parts.some(([part]) => part === name) ? "stdout" : "stderr";
    const { log, flush } = openLog({ level: config.PARLEY_LOG_LEVEL, process: name, to });
    try {
      await run(config, log);
    } finally {
      flush();
    }
  } catch (error) {
    const why = reasonOf(error);
    const hint = error instanceof ConfigError ? "settings are wrong:\n" : "";
    process.stderr.write(`parley ${name}: ${hint}${why}\n`);
    process.exitCode = 1;
  }
}

await program.parseAsync();
