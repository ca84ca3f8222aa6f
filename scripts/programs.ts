import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { promisify } from "node:util";

const exec = promisify(execFile);
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

export interface RunOptions {
  uid?: number;
  gid?: number;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

/** Runs to the end and gives what it printed; what a failed program said last is in the error. */
export async function run(
  command: string,
  args: string[],
  options: RunOptions = {},
): Promise<string> {
  try {
    return (await exec(command, args, { ...options, maxBuffer: OUTPUT_BYTES_MAX })).stdout;
  } catch (error) {
    const { stdout = "", stderr = "", code } = error as { [key: string]: string };
    const words = `${stdout}\n${stderr}`.trim().split("\n").slice(-15).join("\n");
    throw new Error(`${command} ${args.join(" ")} failed (${code}):\n${words}`);
  }
}

/** Servers lie in /usr/sbin, which is in few users' PATH. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  return folders.map((folder) => `${folder}/${name}`).find(isExecutable);
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
