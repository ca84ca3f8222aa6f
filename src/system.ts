import { randomUUID } from "node:crypto";

import { setTimeout as sleep } from "node:timers/promises";
import { Pages } from "./api/call.ts";
import { Door, type DoorOptions } from "./api/door.ts";
import { Api, type ApiOptions } from "./api/server.ts";
import { Turns } from "./api/turns.ts";

import type { Config } from "./config.ts";
import type { Core } from "./core/core.ts";
import { Epochs } from "./core/epochs.ts";
import { Feeds, type FeedsOptions } from "./core/feeds.ts";
import { SETTLE_MS } from "./core/limits.ts";
import { Numbering } from "./core/numbering.ts";
import type { Stack } from "./core/ports.ts";
import { both, type Events } from "./events.ts";
import { openGauges } from "./gauges.ts";
import type { HttpApi } from "./http/server.ts";
import type { Logger } from "./log.ts";
import type { MetricsPort } from "./metrics-port.ts";
import { OperatorsDoor } from "./operate/door.ts";
import { Heartbeat, type Process, Together } from "./process.ts";
import { openStack } from "./stacks/open.ts";
import { Witness } from "./witness.ts";
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
  /** There where the API has a door for HTTP. */
  http: HttpApi | undefined;
  /** There where the settings ask for metrics. */
  metrics: MetricsPort | undefined;
}

/** How long those who watch wait for what, shorter in tests that wait with them. */
export type WatchOptions = Partial<FeedsOptions> & { slowMs?: number };

/** Opens the stack that the settings name, and builds the parts on it without starting them. */
export async function openSystem(
  config: Config,
  which: Part[],
  log: Logger,
  { unready = false, watch }: { unready?: boolean; watch?: WatchOptions } = {},
): Promise<System> {
  const processId = randomUUID();
  const lenient = which.length === 0;
  const stack = await openStack(config, { log, processId, lenient, unready });
  // The embedded stack is one process, so there is nobody to wait for.
  const pause = async () => {
    if (stack.name === "production") await sleep(SETTLE_MS);
  };
  const epochs = new Epochs({ ...stack, processId, pause });
  const numbering = new Numbering({ ...stack, epochs });
  const feeds = new Feeds({ now: Date.now, ...watch });
  const core: Core = { ...stack, numbering, feeds };
  const graceMs = config.PARLEY_STOP_GRACE_MS;
  // These start first and stop last, so that they see everything.
  const { events, metrics, watching } = await openEvents(config, which, { stack, log, processId });
  const processes: Process[] = [...watching];
  if (which.includes("api") || which.includes("worker")) processes.push(new Witness(epochs));
  // The worker starts first and stops last, so that it still takes what the API accepted.
  if (which.includes("worker")) {
    const concurrency = config.PARLEY_WORKER_CONCURRENCY;
    const lanes = config.PARLEY_WORKER_LANES;
    processes.push(new Worker({ ...stack, epochs, log, events }, { concurrency, lanes, graceMs }));
  }
  if (which.includes("scheduler")) {
    const syncCron = config.PARLEY_SYNC_CRON;
    const repairCron = config.PARLEY_REPAIR_CRON;
    const purgeCron = config.PARLEY_PURGE_CRON;
    const retentionCron = config.PARLEY_RETENTION_CRON;
    const retentionDays = config.PARLEY_RETENTION_DAYS;
    const options = { syncCron, repairCron, purgeCron, retentionCron, retentionDays };
    processes.push(new Scheduler({ ...stack, numbering, log, events }, options));
  }
  let api: Api | undefined;
  let http: HttpApi | undefined;
  if (which.includes("api")) {
    // Callers of every kind pass one door, so a bound on calls is one bound.
    const door = new Door(doorOf(config), log);
    const calls = { core, log, door, pages: new Pages(), turns: new Turns(), events };
    api = new Api(calls, { graceMs, ...listenerOf(config), slowMs: watch?.slowMs });
    if (config.PARLEY_HTTP_ADDRESS !== "") {
      const address = config.PARLEY_HTTP_ADDRESS;
      const { HttpApi } = await import("./http/server.ts");
      http = new HttpApi(calls, { ...listenerOf(config), graceMs, address });
    }
    processes.push(door, http === undefined ? api : new Together([api, http]));
  }
  if (stack.name === "embedded" && which.length > 0) {
    processes.push(new OperatorsDoor({ stack, core, config, log }));
  }
  const heartbeat = config.PARLEY_HEARTBEAT_FILE;
  if (heartbeat !== "") processes.push(new Heartbeat(heartbeat));
  return { stack, core, processes, api, http, metrics };
}

/**
 * Who is told what happens, as the settings ask for it; `events` is undefined for nobody. The
 * libraries take a tenth of a second and 20 MB to load, so they are where they are wanted alone.
 */
async function openEvents(
  config: Config,
  which: Part[],
  { stack, log, processId }: { stack: Stack; log: Logger; processId: string },
): Promise<{
  events: Events | undefined;
  metrics: MetricsPort | undefined;
  watching: Process[];
}> {
  const watching: Process[] = [];
  const told: Events[] = [];
  let port: MetricsPort | undefined;
  if (config.PARLEY_METRICS_ADDRESS !== "" && which.length > 0) {
    const { Metrics } = await import("./metrics.ts");
    const { MetricsPort } = await import("./metrics-port.ts");
    const audits = which.includes("scheduler");
    const metrics = new Metrics(openGauges({ stack, config, log, audits }));
    port = new MetricsPort({ metrics, log }, { address: config.PARLEY_METRICS_ADDRESS });
    told.push(metrics);
    watching.push(port);
  }
  if (config.PARLEY_OTLP_ENDPOINT !== "" && which.length > 0) {
    const { Traces } = await import("./traces.ts");
    const options = { endpoint: config.PARLEY_OTLP_ENDPOINT, ratio: config.PARLEY_TRACE_RATIO };
    const traces = new Traces({ log }, { ...options, processId, parts: which });
    told.push(traces);
    watching.push(traces);
  }
  const [one, other] = told;
  const events = one !== undefined && other !== undefined ? both(one, other) : one;
  return { events, metrics: port, watching };
}

/** Who gets in. */
function doorOf(config: Config): DoorOptions {
  const callsPerSecond = config.PARLEY_RATE_LIMIT;
  const burst = config.PARLEY_RATE_BURST || callsPerSecond;
  return {
    keysFile: config.PARLEY_KEYS_FILE || undefined,
    rate: callsPerSecond === 0 ? undefined : { callsPerSecond, burst },
  };
}

/** Where the API listens, and to what. */
function listenerOf(config: Config): Omit<ApiOptions, "graceMs"> {
  const clientCaFile = config.PARLEY_TLS_CLIENT_CA_FILE || undefined;
  const certFile = config.PARLEY_TLS_CERT_FILE;
  const keyFile = config.PARLEY_TLS_KEY_FILE;
  return {
    address: config.PARLEY_GRPC_ADDRESS,
    tls: certFile === "" ? undefined : { certFile, keyFile, clientCaFile },
    health: config.PARLEY_HEALTH,
    reflection: config.PARLEY_REFLECTION,
  };
}
