import type { Epochs } from "./core/epochs.ts";
import { WITNESS_MS } from "./core/limits.ts";
import type { Process } from "./process.ts";

/**
 * Notes in the ledger, as long as the process runs, how far it saw the running number of accepts
 * go. Who finds Redis restarted waits until everybody has done so.
 */
export class Witness implements Process {
  private readonly epochs: Epochs;
  private timer: NodeJS.Timeout | undefined;

  constructor(epochs: Epochs) {
    this.epochs = epochs;
  }

  async start(): Promise<void> {
    // What is not noted now is noted a moment later.
    this.timer = setInterval(() => void this.epochs.witness().catch(() => {}), WITNESS_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.epochs.witness().catch(() => {});
  }
}
