import { randomUUID } from "node:crypto";
import { Api } from "./api/server.ts";
import type { Config } from "./config.ts";
import type { Core } from "./core/core.ts";
import { Numbering } from "./core/numbering.ts";
import type { Stack } from "./core/ports.ts";
import type { Logger } from "./log.ts";
import { OperatorsDoor } from "./operate/door.ts";
import { Heartbeat, type Process } from "./process.ts";
import { openStack } from "./stacks/open.ts";
import { Scheduler } from "./worker/scheduler.ts";
import { Worker } from "./worker/worker.ts";

export type Part = "api" | "worker" | "scheduler";

/** The parts of Parley that run in this process, on one stack. */
export interface System {
  stack: Stack;
  /** The rules on the stack. */
  core: Core;
  /** In the order to start them; stop them in the opposite one. */
  processes: Process[];
  /** There where the parts have an API. */
  api: Api | undefined;
}

/** Opens the stack that the settings name, and builds the parts on it without starting them. */
export async function openSystem(
  config: Config,
  which: Part[],
  log: Logger,
  { unready = false } = {},
): Promise<System> {
  const processId = randomUUID();
  const stack = await openStack(config, { log, processId, unready });
  const numbering = new Numbering({ ...stack, processId });
  const core: Core = { ...stack, numbering };
  const graceMs = config.PARLEY_STOP_GRACE_MS;
  const processes: Process[] = [];
  // The worker starts first and stops last, so that it still takes what the API accepted.
  if (which.includes("worker")) {
    const concurrency = config.PARLEY_WORKER_CONCURRENCY;
    const lanes = config.PARLEY_WORKER_LANES;
    processes.push(new Worker({ ...stack, log }, { concurrency, lanes, graceMs }));
  }
  if (which.includes("scheduler")) {
    const syncCron = config.PARLEY_SYNC_CRON;
    const repairCron = config.PARLEY_REPAIR_CRON;
    processes.push(new Scheduler({ ...stack, log }, { syncCron, repairCron }));
  }
  let api: Api | undefined;
  if (which.includes("api")) {
    const address = config.PARLEY_GRPC_ADDRESS;
    api = new Api({ core, log }, { address, graceMs });
    processes.push(api);
  }
  if (stack.name === "embedded" && which.length > 0) {
    processes.push(new OperatorsDoor({ stack, core, config, log }));
  }
  const heartbeat = config.PARLEY_HEARTBEAT_FILE;
  if (heartbeat !== "") processes.push(new Heartbeat(heartbeat));
  return { stack, core, processes, api };
}
