import { type ChildProcess, execFile, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Config, toConfig } from "../../src/config.ts";
import { openLog } from "../../src/log.ts";
import { linesTo, type Operation, runOperation } from "../../src/operate/operation.ts";
import { openSystem, type System } from "../../src/system.ts";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** The environment of a child: this one's, without the settings that the servers left in it. */
function childEnv(env: Record<string, string>): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("PARLEY_"));
  return { ...Object.fromEntries(own), ...env };
}

/** Runs a command of Parley as who operates it does, to its end. */
export function runCommand(env: Record<string, string>, ...words: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { env: childEnv(env), timeout: 60_000 };
    execFile(process.execPath, [main, ...words], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code ?? -1);
      resolve({ code, stdout, stderr });
    });
  });
}

/**
 * Runs an operation in this process as the command line and the operators' door do, for the tests
 * that run many: on a system that runs, or on one that is opened for it.
 */
export async function runHere(
  one: Operation,
  typed: Record<string, unknown>,
  on: Opened | Record<string, string>,
): Promise<{ code: number; lines: string[] }> {
  if (!isOpened(on)) {
    const config = toConfig(on);
    const system = await openSystem(config, [], quiet, one);
    return runHere(one, typed, { config, system }).finally(() => system.stack.stop());
  }
  const ran = { code: 0, lines: [] as string[] };
  const output = {
    ...linesTo((line) => ran.lines.push(...line.split("\n")), { json: typed.json === true }),
    progress: () => {},
    failed: () => {
      ran.code = 1;
    },
  };
  const { config, system } = on;
  const { signal } = new AbortController();
  await runOperation(one, typed, { ...system, config, signal }, output);
  return ran;
}

interface Opened {
  config: Config;
  system: Pick<System, "stack" | "core">;
}

function isOpened(on: Opened | Record<string, string>): on is Opened {
  return typeof on.system === "object";
}

const quiet = openLog({ level: "silent", process: "test" }).log;

/** Starts a command of Parley that runs until it is told to stop; its pid is Node's own. */
export function spawnCommand(env: Record<string, string>, ...words: string[]): ChildProcess {
  const stdio = ["ignore", "pipe", "pipe"] as ("ignore" | "pipe")[];
  return spawn(process.execPath, [main, ...words], { env: childEnv(env), stdio });
}
