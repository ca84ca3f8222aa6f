import { destination, type Logger, pino, stdTimeFunctions } from "pino";

export type { Logger };

/**
 * The one logger: JSON lines on standard output, or standard error where the output is the user's.
 * Lines are gathered and written a moment later, since a call must not wait for its log line;
 * `flush` writes what is left.
 */
export function openLog(options: { level: string; process: string; to?: "stdout" | "stderr" }): {
  log: Logger;
  flush(): void;
} {
  const fd = options.to === "stderr" ? 2 : 1;
  const out = destination({ fd, sync: false, minLength: 4_096, periodicFlush: 200 });
  const log = pino(
    {
      level: options.level,
      base: { process: options.process, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    out,
  );
  return { log, flush: () => out.flushSync() };
}
