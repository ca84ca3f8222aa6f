import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import type { Logger } from "../log.ts";

const READ_MS = 250;
const FILE_BYTES_MAX = 8 * 1024 * 1024;

/** What files hold, by the names of their settings. */
export type Contents = Record<string, Buffer>;

export interface WatchedOptions<T> {
  /** Paths by the names of their settings, which faults name. */
  files: Record<string, string>;
  /** Makes what the files say; throws an error whose words are for the operator. */
  parse(contents: Contents): T;
  /** Called with the first value, and with each that follows. */
  use(value: T): void;
  log: Logger;
}

/**
 * Files that are read again when they change, in whatever way: they are small, so they are read
 * whole four times a second and compared. (Events of the file system miss what a network file
 * system or a swapped link does; times and sizes miss two writes in one tick of the clock.) Files
 * that are broken leave in force what was read before.
 */
export class Watched<T> {
  private readonly options: WatchedOptions<T>;
  /** The digest of what was read last, or why it could not be read. */
  private last = "";
  private fault: string | undefined;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(options: WatchedOptions<T>) {
    this.options = options;
  }

  /** Reads for the first time; throws where the files cannot be used. */
  async start(): Promise<void> {
    const contents = await this.readAll();
    this.options.use(this.options.parse(contents));
    this.last = digestOf(contents);
    this.schedule();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private schedule(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => void this.look().then(() => this.schedule()), READ_MS).unref();
  }

  private async look(): Promise<void> {
    const { parse, use, log } = this.options;
    const settings = Object.keys(this.options.files);
    const read = await this.readAll().catch((error: Error) => error);
    const state = read instanceof Error ? read.message : digestOf(read);
    if (this.stopped) return;
    if (state === this.last) {
      // A fault is told when it is still there at the next look: a writer needs a moment.
      if (this.fault !== undefined) {
        log.error({ settings, fault: this.fault }, "a changed file cannot be used; the last stays");
      }
      this.fault = undefined;
      return;
    }
    this.last = state;
    try {
      if (read instanceof Error) throw read;
      use(parse(read));
      this.fault = undefined;
      log.info({ settings }, "a changed file is in use");
    } catch (error) {
      this.fault = (error as Error).message;
    }
  }

  private async readAll(): Promise<Contents> {
    const contents: Contents = {};
    for (const [setting, path] of Object.entries(this.options.files)) {
      contents[setting] = await readSmallFile(setting, path);
    }
    return contents;
  }
}

/** Reads a file whole; the error names its setting. A pipe would never end, so it is refused. */
export async function readSmallFile(setting: string, path: string): Promise<Buffer> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new Error("it is no file");
    if (found.size > FILE_BYTES_MAX) throw new Error(`it has more than ${FILE_BYTES_MAX} bytes`);
    return await readFile(path);
  } catch (error) {
    throw new Error(`${setting} cannot be read: ${(error as Error).message}`);
  }
}

function digestOf(contents: Contents): string {
  const digest = createHash("sha256");
  for (const one of Object.values(contents)) digest.update(`${one.length} `).update(one);
  return digest.digest("hex");
}
