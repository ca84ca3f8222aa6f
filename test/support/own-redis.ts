import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { findProgram } from "../../scripts/programs.ts";
import { freePort } from "./deployment.ts";

const START_MAX_MS = 10_000;
const POLL_MS = 20;

/** A Redis that belongs to one test, with the settings that Parley asks for. */
export class OwnRedis {
  readonly url: string;
  private readonly port: number;
  private readonly folder: string;
  private child: ChildProcess | undefined;

  private constructor(port: number) {
    this.port = port;
    this.url = `redis://127.0.0.1:${port}/0`;
    this.folder = mkdtempSync(join(tmpdir(), "parley-redis-"));
  }

  static async start(...settings: string[]): Promise<OwnRedis> {
    const redis = new OwnRedis(await freePort());
    await redis.start(...settings);
    return redis;
  }

  async start(...settings: string[]): Promise<void> {
    const own = ["--port", `${this.port}`, "--bind", "127.0.0.1", "--dir", this.folder];
    const safe = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""];
    this.child = spawn(findProgram("redis-server")!, [...own, ...safe, ...settings], {
      stdio: "ignore",
    });
    const endMs = performance.now() + START_MAX_MS;
    while (!(await this.answers())) {
      if (performance.now() > endMs) throw new Error("redis-server did not start");
      await sleep(POLL_MS);
    }
  }

  /** As a crash ends it. */
  async kill(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  /** Copies its files, while it is down. */
  copyTo(folder: string): void {
    cpSync(this.folder, folder, { recursive: true });
  }

  /** Puts files back that were copied before, while it is down. */
  restoreFrom(folder: string): void {
    rmSync(this.folder, { recursive: true });
    cpSync(folder, this.folder, { recursive: true });
  }

  /** Cuts bytes off the end of its append-only file, while it is down. */
  cutTail(bytes: number): void {
    const folder = join(this.folder, "appendonlydir");
    const name = readdirSync(folder)
      .filter((one) => one.endsWith(".incr.aof"))
      .sort()
      .pop()!;
    const file = join(folder, name);
    truncateSync(file, statSync(file).size - bytes);
  }

  async command(...words: string[]): Promise<unknown> {
    const redis = new Redis(this.url);
    try {
      return await redis.call(words[0]!, ...words.slice(1));
    } finally {
      redis.disconnect();
    }
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async answers(): Promise<boolean> {
    const redis = new Redis(this.url, { lazyConnect: true, retryStrategy: () => null });
    redis.on("error", () => {});
    try {
      await redis.connect();
      return (await redis.ping()) === "PONG";
    } catch {
      return false;
    } finally {
      redis.disconnect();
    }
  }
}
