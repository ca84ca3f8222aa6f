import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Wire } from "../contract/wire.ts";
import { spawnCommand } from "./command.ts";
import type { OwnServers } from "./servers.ts";
import { freshPlace, type Place } from "./system.ts";

/** How long a process may take until it serves. */
const START_MAX_MS = 30_000;

const SIGNALS = ["SIGINT", "SIGTERM"] as const;
const running = new Set<ChildProcess>();

/** Whoever ends us by a signal ends them too: they would go on for ever. */
function keep(child: ChildProcess): void {
  if (running.size === 0) for (const signal of SIGNALS) process.on(signal, endAll);
  running.add(child);
  child.once("exit", () => {
    running.delete(child);
    if (running.size === 0) for (const signal of SIGNALS) process.off(signal, endAll);
  });
}

function endAll(signal: NodeJS.Signals): void {
  for (const one of SIGNALS) process.off(one, endAll);
  for (const child of running) child.kill("SIGKILL");
  process.kill(process.pid, signal);
}

/** One process of a deployment: `node src/main.ts api` and so on, by Node's own process id. */
export class Member {
  readonly part: "api" | "worker" | "scheduler";
  /** Where an API listens, also after it was started again. */
  readonly target: string;
  private readonly env: Record<string, string>;
  private child: ChildProcess | undefined;
  /** True where it ended and nobody had told it to. */
  crashed = false;
  /** What it logged at the level of warnings and above, last ones last. */
  readonly warnings: string[] = [];
  /** Where its metrics are, if PARLEY_METRICS_ADDRESS is set. */
  private metricsPort = 0;

  constructor(part: Member["part"], port: number, env: Record<string, string>) {
    this.part = part;
    this.target = `127.0.0.1:${port}`;
    this.env = { ...env, PARLEY_GRPC_ADDRESS: this.target, PARLEY_LOG_LEVEL: "info" };
  }

  /** Starts it, and returns when it says that it has. */
  async start(): Promise<void> {
    const child = spawnCommand(this.env, this.part);
    this.child = child;
    keep(child);
    child.stderr!.on("data", (chunk) => this.warnings.push(String(chunk)));
    const started = new Promise<void>((resolve) => {
      createInterface({ input: child.stdout! }).on("line", (line) => {
        if (line.includes('"msg":"started"')) resolve();
        if (line.includes('"msg":"metrics are served"')) this.metricsPort = JSON.parse(line).port;
        if (!line.startsWith('{"level":"info"')) this.warnings.push(line);
        if (this.warnings.length > 1_000) this.warnings.shift();
      });
    });
    const ended = once(child, "exit").then(() => {
      this.crashed ||= this.child === child;
      throw new Error(`${this.part} ended: ${this.warnings.slice(-5).join("\n")}`);
    });
    const late = sleep(START_MAX_MS, undefined, { ref: false }).then(() => {
      throw new Error(`${this.part} did not start in time`);
    });
    ended.catch(() => {});
    late.catch(() => {});
    await Promise.race([started, ended, late]);
  }

  /** The sum of a metric's samples that have a label, such as `chore="purge"`. */
  async count(metric: string, label = ""): Promise<number> {
    const answer = await fetch(`http://127.0.0.1:${this.metricsPort}/metrics`);
    const samples = (await answer.text())
      .split("\n")
      .filter((line) => line.split(/[{ ]/, 1)[0] === metric && line.includes(label));
    return samples.reduce((sum, line) => sum + Number(line.split(" ").pop()), 0);
  }

  /** As a crash ends it. */
  async kill(): Promise<void> {
    await this.end("SIGKILL");
  }

  /** Tells it to stop; returns its exit code, and how long it took. */
  async stop(): Promise<{ code: number | null; ms: number }> {
    const startMs = performance.now();
    const code = await this.end("SIGTERM");
    return { code, ms: performance.now() - startMs };
  }

  freeze(): void {
    this.child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.child?.kill("SIGCONT");
  }

  private async end(signal: NodeJS.Signals): Promise<number | null> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const ended = once(child, "exit");
    child.kill(signal);
    return (await ended)[0] as number | null;
  }
}

/** Parley as it is deployed: every part a process of its own, wires to real servers in between. */
export interface Deployment {
  place: Place;
  /** The settings of its processes, which go by the wires. */
  env: Record<string, string>;
  apis: Member[];
  workers: Member[];
  schedulers: Member[];
  wires: { redis: Wire; mysql: Wire; elasticsearch: Wire };
  stop(): Promise<void>;
}

/** Starts so many of each part; `own` are servers of its own, for tests that break them. */
export async function deploy(
  sizes: { apis?: number; workers?: number; schedulers?: number },
  settings: Record<string, string> = {},
  own?: OwnServers,
): Promise<Deployment> {
  const place = await freshPlace("production", own);
  const { PARLEY_REDIS_URL, PARLEY_MYSQL_URL, PARLEY_ELASTICSEARCH_URL } = place.env;
  const wires = {
    redis: await new Wire(PARLEY_REDIS_URL!).open(),
    mysql: await new Wire(PARLEY_MYSQL_URL!).open(),
    elasticsearch: await new Wire(PARLEY_ELASTICSEARCH_URL!).open(),
  };
  const env = {
    ...place.env,
    PARLEY_REDIS_URL: wires.redis.href,
    PARLEY_MYSQL_URL: wires.mysql.href,
    // Of a cluster, the other nodes are reached without a wire.
    PARLEY_ELASTICSEARCH_URL: [
      wires.elasticsearch.href,
      ...PARLEY_ELASTICSEARCH_URL!.split(",").slice(1),
    ].join(","),
    PARLEY_REPAIR_CRON: "* * * * * *",
    PARLEY_STALL_MS: "1500",
    ...settings,
  };
  const members = async (part: Member["part"], count: number) => {
    const found: Member[] = [];
    for (let at = 0; at < count; at++) {
      found.push(new Member(part, part === "api" ? await freePort() : 0, env));
    }
    return found;
  };
  const apis = await members("api", sizes.apis ?? 1);
  const workers = await members("worker", sizes.workers ?? 1);
  const schedulers = await members("scheduler", sizes.schedulers ?? 0);
  const all = [...apis, ...workers, ...schedulers];
  const stop = async () => {
    for (const one of all) one.thaw();
    const crashed = all.filter((one) => one.crashed);
    await Promise.all(all.map((one) => one.kill()));
    for (const wire of Object.values(wires)) await wire.close();
    await place.drop();
    for (const one of crashed) {
      throw new Error(`${one.part} crashed: ${one.warnings.slice(-5).join("\n")}`);
    }
  };
  try {
    await Promise.all(all.map((one) => one.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  return { place, env, apis, workers, schedulers, wires, stop };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
