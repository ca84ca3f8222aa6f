import { type ChildProcess, execFile, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

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

/** Starts a command of Parley that runs until it is told to stop; its pid is Node's own. */
export function spawnCommand(env: Record<string, string>, ...words: string[]): ChildProcess {
  const stdio = ["ignore", "pipe", "pipe"] as ("ignore" | "pipe")[];
  return spawn(process.execPath, [main, ...words], { env: childEnv(env), stdio });
}
