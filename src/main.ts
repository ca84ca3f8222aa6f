import { Metadata } from "@grpc/grpc-js";
import { Command, InvalidArgumentError } from "commander";

import { HealthCheckRequest, HealthClient } from "../gen/grpc/health/v1/health.ts";
import { type Config, ConfigError, isLoopback, readEnv, toConfig } from "./config.ts";
import { connectionOf, healthConnectionOf } from "./connect.ts";
import { importFile } from "./import.ts";
import { addKey, createKey, listKeys, revokeKey } from "./keys.ts";
import { type Logger, openLog } from "./log.ts";
import { addOperations } from "./operator.ts";
import { runUntilSignal } from "./process.ts";
import { migrateStack } from "./stacks/open.ts";
import { openSystem, type Part } from "./system.ts";

const HEALTH_TIMEOUT_MS = 2_000;
const EXPIRE_DAYS_MAX = 36_500;

const program = new Command("parley").description("A chat backend over gRPC.");

const parts: [string, Part[], string][] = [
  ["all", ["api", "worker", "scheduler"], "the API, a worker and a scheduler in one process"],
  ["api", ["api"], "the gRPC server"],
  ["worker", ["worker"], "the worker that writes rows and the search index"],
  ["scheduler", ["scheduler"], "the clock of the chores"],
];
for (const [name, which, description] of parts) {
  const command = program.command(name).description(`run ${description}`);
  if (name === "all") command.alias("start");
  if (which.includes("api")) {
    command.option("--insecure", "listen beyond loopback without keys, as PARLEY_INSECURE=true");
  }
  command.action(({ insecure }: { insecure?: true }) => serve(name, which, insecure === true));
}

program
  .command("migrate")
  .description("bring the database up to date")
  .action(() =>
    once("migrate", readEnv(), async (config, log) => {
      const done = await migrateStack(config);
      log.info({ migrations: done }, done.length > 0 ? "migrated" : "nothing to migrate");
    }),
  );

addOperations(program, (name, run) => once(name, readEnv(), run));

program
  .command("health")
  .description("ask the API whether it serves; exit code 0 where it does")
  .action(() => once("health", readEnv(), checkHealth));

program
  .command("import")
  .description("load JSON lines (chat, author, body) through the API")
  .requiredOption("--file <path>", "the file to load")
  .option("--target <host:port>", "the server; PARLEY_GRPC_ADDRESS unless told otherwise")
  .option("--application <token>", "the application to fill; without it, a new one is created")
  .option("--name <name>", "the name of a new application", "import")
  .action((options: { file: string; target?: string; application?: string; name: string }) =>
    once("import", readEnv(), async (config, log) => {
      const target = options.target ?? config.PARLEY_GRPC_ADDRESS;
      const clear = config.PARLEY_CLIENT_KEY !== "" && config.PARLEY_CLIENT_CA_FILE === "";
      if (clear && !isLoopback(target)) log.warn({ target }, "the key is sent in the clear");
      const result = await importFile({
        file: options.file,
        target,
        connection: connectionOf(config),
        applicationToken: options.application,
        applicationName: options.name,
        output: process.stderr,
      });
      process.stdout.write(`${JSON.stringify(result)}\n`);
      if (result.badLines > 0) process.exitCode = 1;
    }),
  );

const keys = program.command("keys").description("the keys that calls need");

keys
  .command("create")
  .description("make a key; it is shown this once, and only its hash is kept")
  .option("--file <path>", "the file of keys to add it to; without it, its entry is printed")
  .option("--read-only", "it may read, not write", false)
  .option("--application <token>", "bind it to this application (repeatable)", gather, [])
  .option("--expire-days <days>", "it expires after so many days", days)
  .option("--comment <text>", "what it is for")
  .action((options: CreateOptions) =>
    attempt("keys create", async () => {
      const { file, application: applications, ...wish } = options;
      const { expireDays, comment } = options;
      const { key, entry } = createKey({ ...wish, applications, expireDays, comment }, Date.now());
      if (file !== undefined) await addKey(file, entry);
      process.stdout.write(`${key}\n`);
      if (file === undefined) process.stdout.write(`${JSON.stringify(entry)}\n`);
      else process.stderr.write(`Key ${entry.id} is in ${file}; it is shown only now.\n`);
    }),
  );

keys
  .command("list")
  .description("say what a file's keys may do")
  .requiredOption("--file <path>", "the file of keys")
  .action(({ file }: { file: string }) =>
    attempt("keys list", async () => void process.stdout.write(await listKeys(file))),
  );

keys
  .command("revoke")
  .description("take a key out of a file; running servers refuse it within a second or two")
  .argument("<id>", "its id, the part of a key between the underlines")
  .requiredOption("--file <path>", "the file of keys")
  .action((id: string, { file }: { file: string }) =>
    attempt("keys revoke", () => revokeKey(file, id)),
  );

interface CreateOptions {
  file?: string;
  readOnly: boolean;
  application: string[];
  expireDays?: number;
  comment?: string;
}

function gather(value: string, before: string[]): string[] {
  return [...before, value];
}

function days(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= EXPIRE_DAYS_MAX) return value;
  throw new InvalidArgumentError(`It must be a whole number from 1 to ${EXPIRE_DAYS_MAX}.`);
}

/** Runs parts on the configured stack until a signal. */
function serve(name: string, which: Part[], insecure: boolean): Promise<void> {
  const env = insecure ? { ...readEnv(), PARLEY_INSECURE: "true" } : readEnv();
  return once(name, env, async (config, log) => {
    if (which.includes("api")) warnOfTheDoor(config, log);
    const { processes, api, http, stack } = await openSystem(config, which, log);
    const announce = async () => {
      if (api !== undefined) greet(config, { grpc: api.port, http: http?.port });
      log.info({ stack: stack.name }, "started");
    };
    try {
      await runUntilSignal([...processes, { start: announce, stop: async () => {} }], log);
    } finally {
      await stack.stop();
    }
  });
}

/** Says loudly what a server lets happen that its operator may not have meant. */
function warnOfTheDoor(config: Config, log: Logger): void {
  const beyond = [config.PARLEY_GRPC_ADDRESS, config.PARLEY_HTTP_ADDRESS];
  const address = beyond.find((one) => one !== "" && !isLoopback(one));
  if (address === undefined) return;
  if (config.PARLEY_KEYS_FILE === "") {
    log.warn(
      { address },
      "INSECURE: no keys are asked for, so whoever gets a connection may do everything",
    );
  }
  if (config.PARLEY_TLS_CERT_FILE === "") {
    log.warn(
      { address },
      "INSECURE: without TLS, keys and messages cross the network in the clear",
    );
  }
}

/** What a person who has just started the server wants to know. */
function greet(config: Config, ports: { grpc: number; http: number | undefined }): void {
  const address = config.PARLEY_GRPC_ADDRESS.replace(/:\d+$/, `:${ports.grpc}`);
  const http = config.PARLEY_HTTP_ADDRESS.replace(/:\d+$/, `:${ports.http}`);
  const also = http === "" ? "" : ` and HTTP on ${http}`;
  const place = config.PARLEY_STACK === "embedded" ? `, data in ${config.PARLEY_DATA_DIR}` : "";
  const tls = config.PARLEY_TLS_CERT_FILE === "" ? "-plaintext" : "-cacert ca.crt";
  const key = config.PARLEY_KEYS_FILE === "" ? "" : `-H "authorization: Bearer $KEY" `;
  process.stdout.write(
    `Parley serves gRPC on ${address}${also} (${config.PARLEY_STACK} stack${place}). Try:\n` +
      `  grpcurl ${tls} ${key}-d '{"application":{"name":"test name"}}' ${address} ` +
      `parley.v1.ApplicationService/CreateApplication\n`,
  );
}

async function checkHealth(config: Config): Promise<void> {
  const target = config.PARLEY_GRPC_ADDRESS.replace(/^0\.0\.0\.0:/, "127.0.0.1:");
  const { credentials, options } = healthConnectionOf(config);
  const client = new HealthClient(target, credentials, options);
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

/** Reads the settings and runs one command. */
function once(
  name: string,
  env: NodeJS.ProcessEnv,
  run: (config: Config, log: Logger) => Promise<void>,
): Promise<void> {
  return attempt(name, async () => {
    const config = toConfig(env);
    // The log is all that these have to say; the others print what they were asked for.
    const logs = [...parts.map(([part]) => part), "migrate"];
    const to = logs.includes(name) ? "stdout" : "stderr";
    const { log, flush } = openLog({ level: config.PARLEY_LOG_LEVEL, process: name, to });
    try {
      await run(config, log);
    } finally {
      flush();
    }
  });
}

/** Runs one command, and says in one line why it failed. */
async function attempt(name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    const why = reasonOf(error);
    const hint = error instanceof ConfigError ? "settings are wrong:\n" : "";
    process.stderr.write(`parley ${name}: ${hint}${why}\n`);
    process.exitCode = 1;
  }
}

await program.parseAsync();
