import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Order, Report } from "./order.ts";

const caller = fileURLToPath(new URL("./caller.ts", import.meta.url));

/** The process that sends load, from here. */
export class LoadProcess {
  private readonly child: ChildProcess = fork(caller);
  private readonly ended = once(this.child, "exit");

  get pid(): number {
    return this.child.pid!;
  }

  /** Carries out an order; throws where a call was not answered, which no measurement allows. */
  async run(order: Order): Promise<Report> {
    const report = await new Promise<Report>((resolve, reject) => {
      this.child.once("message", resolve);
      this.ended.then(() => reject(new Error("the process that sends the load has ended")));
      this.child.send(order);
    });
    const failed = Object.entries(report.failures);
    if (failed.length > 0) throw new Error(`calls failed: ${JSON.stringify(report.failures)}`);
    return report;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    this.child.disconnect();
    await this.ended;
  }
}
