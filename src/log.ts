import { destination, type Logger, pino, stdTimeFunctions } from "pino";

export type { Logger };

/** Lines are written when there are so many bytes of them, or so long after the first one. */
const GATHERED_BYTES = 64 * 1024;
const GATHERED_MS = 200;

/**
 * The one logger: JSON lines on standard output, or standard error where the output is the user's.
 * Lines are gathered and written a moment later, since a call must not wait for its log line;
 * `flush` writes what is left.
 */
export function openLog(options: { level: string; process: string; to?: "stdout" | "stderr" }): {
  log: Logger;
  flush(): void;
} {
  const lines = new Gathered(options.to === "stderr" ? 2 : 1);
  const log = pino(
    {
      level: options.level,
      base: { process: options.process, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    lines,
  );
  return { log, flush: () => lines.flush() };
}

/**
 * Copies each line into a buffer as it comes. A destination of pino's joins them as text, which
 * takes as long as all the rest of a line.
 */
class Gathered {
  private readonly fd: number;
  private readonly out;
  private buffer = Buffer.allocUnsafe(2 * GATHERED_BYTES);
  private bytes = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(fd: number) {
    this.fd = fd;
    this.out = destination({ fd, sync: false, contentMode: "buffer" });
  }

  write(line: string): void {
    // A character takes at most 3 bytes for each of its units.
    if (3 * line.length > this.buffer.length - this.bytes) this.pass();
    if (3 * line.length > this.buffer.length) {
      this.out.write(Buffer.from(line) as unknown as string);
      return;
    }
    this.bytes += this.buffer.write(line, this.bytes);
    if (this.bytes >= GATHERED_BYTES) this.pass();
    else this.timer ??= setTimeout(() => this.pass(), GATHERED_MS).unref();
  }

  /** For the end of the process, by a way of its own: what `out` only begins to write is lost. */
  flush(): void {
    this.out.flushSync();
    this.pass(destination({ fd: this.fd, sync: true, contentMode: "buffer" }));
  }

  private pass(to = this.out): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.bytes === 0) return;
    const full = this.buffer.subarray(0, this.bytes);
    this.buffer = Buffer.allocUnsafe(2 * GATHERED_BYTES);
    this.bytes = 0;
    to.write(full as unknown as string);
  }
}
