import type { Logger } from "../log.ts";

/** What a stack needs beside its settings. */
export interface OpenOptions {
  log: Logger;
  /** Tells this process from every other one that writes to the same database. */
  processId: string;
  /** True for operations, which work as far as they can while the database is away. */
  lenient: boolean;
  /** Open it though the database may be away or lack migrations: for who looks what is wrong. */
  unready?: boolean;
}
