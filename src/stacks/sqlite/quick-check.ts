import { DatabaseSync } from "node:sqlite";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

/** Marks the thread that this file starts as a checker; any other that loads it is none. */
const TASK = "parley quick check";

/**
 * What SQLite finds wrong with a file, undefined for nothing, "late" where the time was too short.
 * It looks from a thread of its own, since a look at a large file takes long.
 */
export function quickCheck(file: string, timeoutMs: number): Promise<string | undefined> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { task: TASK, file } });
  return new Promise((resolve) => {
    const end = (result: string | undefined) => {
      clearTimeout(timer);
      void worker.terminate();
      resolve(result);
    };
    const timer = setTimeout(() => end("late"), timeoutMs);
    worker.once("message", (result: string) => end(result === "ok" ? undefined : result));
    worker.once("error", (error: Error) => end(error.message));
  });
}

function check(file: string): string {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return Object.values(db.prepare("PRAGMA quick_check(1)").get() ?? {}).join();
  } finally {
    db.close();
  }
}

if (!isMainThread && workerData?.task === TASK) parentPort!.postMessage(check(workerData.file));
