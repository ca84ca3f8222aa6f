import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { spawnCommand } from "../test/support/command.ts";
import { freePort } from "../test/support/deployment.ts";
import type { OwnServers } from "../test/support/servers.ts";
import { type Clients, freshPlace, openClients, type Place } from "../test/support/system.ts";

const root = new URL("..", import.meta.url);
const fileOf = (path: string) => fileURLToPath(new URL(path, root));
/** How long a process may take until it serves. */
const START_MAX_MS = 30_000;
/** Linux counts the processor time of a process in these. */
const TICK_MS = 10;
const PAGE_BYTES = 4_096;

/** A process of Parley as it is deployed, with its settings as they are unless told otherwise. */
export class ParleyProcess {
  readonly target: string;
  private readonly child: ChildProcess;
  private constructor(child: ChildProcess, target: string) {
    this.child = child;
    this.target = target;
  }

  static async start(
    place: Place,
    part: "start" | "api" | "worker" | "scheduler",
    settings: Record<string, string> = {},
  ): Promise<ParleyProcess> {
    const target = `127.0.0.1:${await freePort()}`;
    const own = { PARLEY_GRPC_ADDRESS: target, PARLEY_LOG_LEVEL: "info", ...settings };
    const child = spawnCommand({ ...place.env, ...own }, part);
    child.stderr!.pipe(process.stderr);
    const started = new ParleyProcess(child, target);
    await untilStarted(child, part).catch(async (error) => {
      await started.stop();
      throw error;
    });
    return started;
  }

  get pid(): number {
    return this.child.pid!;
  }

  async stop(): Promise<void> {
    await stopped(this.child);
  }
}

/** Its lines are read to the end, as whoever keeps a log reads them. */
async function untilStarted(child: ChildProcess, part: string): Promise<void> {
  const sign = part === "start" ? / on 127\.0\.0\.1:\d+ / : /"msg":"started"/;
  const lines = createInterface({ input: child.stdout! });
  const late = AbortSignal.timeout(START_MAX_MS);
  const started = new Promise<void>((resolve, reject) => {
    const look = (line: string) => {
      if (!sign.test(line)) return;
      resolve();
      lines.close();
      child.stdout!.resume();
    };
    lines.on("line", look);
    child.once("exit", () => reject(new Error(`${part} ended before it had started`)));
    late.addEventListener("abort", () => reject(new Error(`${part} did not start in time`)));
  });
  await started;
}

/** A process of bench/floors: it says when it is ready, and what it was asked for. */
export class FloorProcess {
  private readonly child: ChildProcess;
  /** Of one that is a server. */
  readonly target: string;

  private constructor(child: ChildProcess, target: string) {
    this.child = child;
    this.target = target;
  }

  static async start(path: string): Promise<FloorProcess> {
    const child = fork(fileOf(path));
    const [{ port }] = (await once(child, "message")) as [{ port?: number }];
    return new FloorProcess(child, `127.0.0.1:${port ?? 0}`);
  }

  get pid(): number {
    return this.child.pid!;
  }

  send(order: object): void {
    this.child.send(order);
  }

  async answer(): Promise<unknown> {
    const [answer] = await once(this.child, "message");
    return answer;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const exited = once(this.child, "exit");
    this.child.disconnect();
    await exited;
  }
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await exited;
}

/** Processor time that a process has used, in milliseconds. */
export function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Memory that a process has in use, in bytes. */
export function residentBytesOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * PAGE_BYTES;
}

/** What one measurement started, stopped in the opposite order however it ends. */
export class Started {
  private readonly stops: (() => Promise<void>)[] = [];

  add<T extends { stop(): Promise<void> }>(one: T): T {
    this.stops.push(() => one.stop());
    return one;
  }

  /** A place of its own on the servers, or a folder. */
  async place(stack: Place["stack"], own?: OwnServers): Promise<Place> {
    const place = await freshPlace(stack, own);
    this.stops.push(() => place.drop());
    return place;
  }

  clients(target: string): Clients {
    const clients = openClients(target);
    this.stops.push(async () => clients.close());
    return clients;
  }

  async stop(): Promise<void> {
    for (const stop of this.stops.reverse()) await stop();
  }
}

/** Runs a measurement, and stops what it started. */
export async function withStarted<T>(run: (started: Started) => Promise<T>): Promise<T> {
  const started = new Started();
  try {
    return await run(started);
  } finally {
    await started.stop();
  }
}

/** An application with so many chats, all of them stored. */
export async function makeChats(clients: Clients, chats: number): Promise<string> {
  const { application } = await clients.createApplication({ application: { name: "bench" } });
  const applicationToken = application!.token;
  for (let at = 0; at < chats; at++) await clients.createChat({ applicationToken });
  return applicationToken;
}
