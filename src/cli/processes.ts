import cluster, { type Worker } from "node:cluster";
import type { Logger } from "../log.ts";

/** The pause before another process takes the place of one that ended. */
const RESTART_MS = 500;
/** What a process says when it serves on all its ports: cluster tells of the first one alone. */
const STARTED = "parley:started";

/** True in a process that runProcesses has started, but for the first one. */
export function isFurtherProcess(): boolean {
  return cluster.isWorker && cluster.worker!.id > 1;
}

/** False in a process that runProcesses has started. */
export function isFirstOfAll(): boolean {
  return cluster.isPrimary;
}

/** Tells the process that runs all of them that this one has started; nothing where it is alone. */
export function tellStarted(): void {
  cluster.worker?.send(STARTED);
}

/**
 * Runs this program so many times, on the same ports, until a signal; new connections go to them in
 * turn. One that ends is replaced; one that ends before it has started would do so again, and so
 * ends all of them, with an error.
 */
export async function runProcesses(count: number, log: Logger): Promise<void> {
  const started = new Set<Worker>();
  const running = new Set<Worker>();
  let stopping = false;
  let failed = false;
  const ended = new Promise<void>((resolve) => {
    const stop = () => {
      stopping = true;
      for (const one of running) one.process.kill("SIGTERM");
      if (running.size === 0) resolve();
    };
    const start = () => {
      if (!stopping) running.add(cluster.fork());
    };
    cluster.on("message", (one, message) => {
      if (message === STARTED) started.add(one);
    });
    cluster.on("exit", (one, code, signal) => {
      running.delete(one);
      if (!stopping && started.delete(one)) {
        const { pid } = one.process;
        log.error({ pid, code, signal }, "a process has ended, and another takes its place");
        setTimeout(start, RESTART_MS);
      } else if (!stopping) {
        failed = true;
        stop();
      }
      if (stopping && running.size === 0) resolve();
    });
    // Told on each time: what a second one means is known to those who have calls in work, and the
    // end of this process would end them at once.
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
    for (let at = 0; at < count; at++) start();
  });
  await ended;
  if (failed) throw new Error("a process ended before it had started");
}
