import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Account } from "./account.ts";

/** A server that was told to end is killed after the first, and given up after the second. */
const KILL_AFTER_MS = 30_000;
const STOP_MAX_MS = 60_000;
const LOCK_WAIT_MAX_MS = 300_000;
const POLL_MS = 20;

export interface Launch {
  command: string;
  args: string[];
  account: Account | undefined;
  env?: Record<string, string>;
  logFile: string;
}

/** Starts a program that outlives us and our terminal, and gives its process id. */
export function launch({ command, args, account, env, logFile }: Launch): number {
  const log = openSync(logFile, "a");
  const child = spawn(command, args, {
    ...account,
    cwd: "/",
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", log, log],
    detached: true,
  });
  child.unref();
  // Without a listener a program that cannot be started would end us without our words.
  child.on("error", () => {});
  if (child.pid === undefined) throw new Error(`${command} could not be started`);
  return child.pid;
}

/** Notes which process the server is, in a way that a later process with its id is not. */
export function record(pidFile: string, pid: number): void {
  const identity = identify(pid);
  if (identity === undefined) throw new Error(`process ${pid} ended at once`);
  writeFileSync(pidFile, `${identity}\n`);
}

/** The recorded process, if that very one still runs. */
export function runningPid(pidFile: string): number | undefined {
  let recorded: string;
  try {
    recorded = readFileSync(pidFile, "utf8").trim();
  } catch {
    return undefined;
  }
  const pid = Number.parseInt(recorded, 10);
  return identify(pid) === recorded ? pid : undefined;
}

/** An id alone is used again; together with its start tick and the boot it names one process. */
function identify(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in brackets may hold spaces; what follows it are state, parent and so on.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    // A killed server is a zombie first, whose other threads still hold its port and its files.
    const ended = fields[0] === "Z" && Number(fields[17]) <= 1;
    return ended ? undefined : `${pid} ${fields[19]} ${boot}`;
  } catch {
    return undefined;
  }
}

/** Ends the recorded process and nothing else; says whether there was one. */
export async function end(pidFile: string, signal: "SIGTERM" | "SIGKILL"): Promise<boolean> {
  const pid = runningPid(pidFile);
  if (pid === undefined) return false;
  process.kill(pid, signal);
  const begin = Date.now();
  let killed = signal === "SIGKILL";
  while (runningPid(pidFile) !== undefined) {
    const elapsed = Date.now() - begin;
    if (elapsed > STOP_MAX_MS) throw new Error(`process ${pid} does not end`);
    if (elapsed > KILL_AFTER_MS && !killed) {
      process.kill(pid, "SIGKILL");
      killed = true;
    }
    await sleep(POLL_MS);
  }
  rmSync(pidFile, { force: true });
  return true;
}

/**
 * Two `up` at once must not start a server twice: the second waits for the first. The lock is a
 * listening socket in Linux's abstract name space, so it cannot outlive its holder.
 */
export async function withLock<T>(name: string, use: () => Promise<T>): Promise<T> {
  const until = Date.now() + LOCK_WAIT_MAX_MS;
  const path = `\0parley-services-${createHash("sha256").update(name).digest("hex")}`;
  let lock = await listen(path);
  while (lock === undefined) {
    if (Date.now() > until) throw new Error(`another run has been busy with ${name} for too long`);
    await sleep(POLL_MS);
    lock = await listen(path);
  }
  try {
    return await use();
  } finally {
    lock.close();
  }
}

function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(path, () => resolve(server));
  });
}
