import type { Command } from "commander";
import { type Config, ConfigError, isLoopback, readEnv } from "../config.ts";
import type { Logger } from "../log.ts";
import { runUntilSignal } from "../process.ts";
import type { Part } from "../system.ts";
import { isFirstOfAll, isFurtherProcess, runProcesses, tellStarted } from "./processes.ts";
import { examplesOf, once } from "./run.ts";

const servers: [string, Part[], string][] = [
  ["start", ["api", "worker", "scheduler"], "run the API, a worker and a scheduler in one process"],
  ["api", ["api"], "run the gRPC server"],
  ["worker", ["worker"], "run a worker, which writes rows and the search index"],
  ["scheduler", ["scheduler"], "run the clock of the chores: counts, repair, purge, retention"],
];

/** The commands that run until a signal, and the one that prepares the database for them. */
export function addServers(program: Command): void {
  for (const [name, parts, description] of servers) {
    const command = program.command(name).description(description);
    const api = parts.includes("api");
    if (api) {
      command.option("--insecure", "listen beyond loopback without keys, as PARLEY_INSECURE=true");
    }
    command.addHelpText("after", examplesOf(name, ...(api ? [`${name} --insecure`] : [])));
    command.action(({ insecure }: { insecure?: true }) => serve(name, parts, insecure === true));
  }
  program
    .command("migrate")
    .description("bring the database up to date")
    .addHelpText("after", examplesOf("migrate"))
    .action(() =>
      once({ name: "migrate", logTo: "stdout" }, readEnv(), async (config, log) => {
        const { migrateStack } = await import("../stacks/open.ts");
        const done = await migrateStack(config);
        log.info({ migrations: done }, done.length > 0 ? "migrated" : "nothing to migrate");
      }),
    );
}

/** Runs parts on the configured stack until a signal. The log is all that they have to say. */
function serve(name: string, parts: Part[], insecure: boolean): Promise<void> {
  const env = insecure ? { ...readEnv(), PARLEY_INSECURE: "true" } : readEnv();
  return once({ name, logTo: "stdout" }, env, async (config, log) => {
    if (config.PARLEY_STACK === "embedded" && name !== "start") {
      throw new ConfigError("PARLEY_STACK is embedded, which is one process: say `parley start`");
    }
    const alone = name !== "api" || config.PARLEY_API_PROCESSES === 1;
    if (parts.includes("api") && isFirstOfAll()) warnOfTheDoor(config, log);
    if (!alone && isFirstOfAll()) return runProcesses(config.PARLEY_API_PROCESSES, log);
    // Vendors are loaded by those who need them alone: help and keys are there at once.
    const { openSystem } = await import("../system.ts");
    const { processes, api, http, stack } = await openSystem(config, parts, log);
    const announce = async () => {
      if (api !== undefined && !isFurtherProcess())
        greet(config, { grpc: api.port, http: http?.port });
      log.info({ stack: stack.name }, "started");
      tellStarted();
    };
    try {
      await runUntilSignal([...processes, { start: announce, stop: async () => {} }], log);
    } finally {
      await stack.stop();
    }
    log.info("stopped");
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
