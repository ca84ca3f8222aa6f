import { rm, writeFile } from "node:fs/promises";
import type { Logger } from "./log.ts";

/** Something that is started once and stopped once. `stop` ends in bounded time. */
export interface Process {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Processes that stop at the same time, so that they share one grace time. */
export class Together implements Process {
  private readonly processes: Process[];

  constructor(processes: Process[]) {
    this.processes = processes;
  }

  async start(): Promise<void> {
    for (const one of this.processes) await one.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.processes.map((one) => one.stop()));
  }
}

/** A second signal, or this long after the first, ends the program whatever is still in work. */
const STOP_MAX_MS = 15_000;
/** Within this time a second one is the first, told by a terminal and by who started this. */
const SAME_SIGNAL_MS = 500;

/** Starts in order, runs until SIGINT or SIGTERM, then stops in the opposite order. */
export async function runUntilSignal(processes: Process[], log: Logger): Promise<void> {
  const signalled = new Promise<string>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
  const started: Process[] = [];
  try {
    for (const one of processes) {
      started.unshift(one);
      await one.start();
    }
    const signal = await signalled;
    log.info({ signal }, "stopping");
  } finally {
    const stoppingMs = performance.now();
    const force = () => {
      if (performance.now() - stoppingMs > SAME_SIGNAL_MS) process.exit(1);
    };
    process.on("SIGINT", force);
    process.on("SIGTERM", force);
    setTimeout(force, STOP_MAX_MS).unref();
    for (const one of started) await one.stop();
  }
}

const SHELL_LOOK_MS = 200;

/**
 * Takes the end of the shell that `npx` or `npm start` runs us in for SIGTERM: npm tells it of the
 * signals that it gets itself, and the shell ends without telling us.
 */
export function endWithShell({ npm_command: command }: NodeJS.ProcessEnv): void {
  if (command !== "exec" && command !== "start") return;
  const shell = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === shell) return;
    clearInterval(timer);
    process.kill(process.pid, "SIGTERM");
  }, SHELL_LOOK_MS);
  timer.unref();
}

const HEARTBEAT_MS = 5_000;

/** Touches a file as long as this process runs and its event loop turns. */
export class Heartbeat implements Process {
  private readonly file: string;
  private timer: NodeJS.Timeout | undefined;

  constructor(file: string) {
    this.file = file;
  }

  async start(): Promise<void> {
    await writeFile(this.file, "").catch((cause: Error) => {
      throw new Error(`PARLEY_HEARTBEAT_FILE: ${cause.message}`, { cause });
    });
    // A full disk is not this file's to tell; the health check sees that it is old.
    this.timer = setInterval(() => void writeFile(this.file, "").catch(() => {}), HEARTBEAT_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await rm(this.file, { force: true });
  }
}
