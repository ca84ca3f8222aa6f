import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ParleyClient } from "./client.ts";

export interface ParleyOptions {
  /** Settings of the server, `PARLEY_...`, beside those that make it a server of its own. */
  settings?: Record<string, string> | undefined;
}

/** A real server, with nothing in it at first. */
export interface TestParley {
  /** `host:port`, for any other client. */
  address: string;
  client: ParleyClient;
  /** Stops the server and removes its data. */
  stop(): Promise<void>;
}

/** The oldest Node that runs the server. */
const NODE_MIN = 24;
const START_MAX_MS = 30_000;
const STOP_MAX_MS = 10_000;

/**
 * Starts the server of the package `parley` on a free port of 127.0.0.1, on the embedded stack in a
 * folder of its own. It ends with this process at the latest.
 */
export async function startParley({ settings = {} }: ParleyOptions = {}): Promise<TestParley> {
  const { node, main } = findServer();
  const folder = await mkdtemp(join(tmpdir(), "parley-"));
  // What this process was told of Parley is meant for another server.
  const env = Object.entries(process.env).filter(([name]) => !name.startsWith("PARLEY_"));
  const child = spawn(node, ["--import", ending, main, "start"], {
    env: {
      ...Object.fromEntries(env),
      PARLEY_LOG_LEVEL: "warn",
      PARLEY_STOP_GRACE_MS: "1000",
      ...settings,
      PARLEY_STACK: "embedded",
      PARLEY_DATA_DIR: folder,
      PARLEY_GRPC_ADDRESS: "127.0.0.1:0",
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const stopServer = async () => {
    await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const address = await addressOf(child);
    const client = new ParleyClient({ address });
    const stop = () => {
      client.close();
      return stopServer();
    };
    return { address, client, stop };
  } catch (error) {
    await stopServer();
    throw error;
  }
}

/** The server ends when the pipe to it does: that is when this process is gone, however it went. */
const ending = `data:text/javascript,${encodeURIComponent(
  'process.stdin.resume().once("end", () => process.kill(process.pid, "SIGTERM")).unref();',
)}`;

function findServer(): { node: string; main: string } {
  let main: string;
  try {
    main = fileURLToPath(import.meta.resolve("parley/main"));
  } catch (cause) {
    throw new Error("startParley needs the server: install the package `parley`", { cause });
  }
  const own = Number(process.versions.node.split(".")[0]) >= NODE_MIN;
  // The server's package brings the Node that runs it.
  return { main, node: own ? process.execPath : createRequire(main).resolve("node/bin/node") };
}

/** What the server says that it serves on. */
function addressOf(child: ChildProcess): Promise<string> {
  let said = "";
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`the test server ${why}:\n${said}`));
    const timer = setTimeout(() => fail("did not start in time"), START_MAX_MS);
    child.once("error", ({ message }) => fail(message));
    child.once("close", () => {
      clearTimeout(timer);
      fail("ended before it served");
    });
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        said = `${said}${text}`.slice(-10_000);
        const address = /serves gRPC on (\S+)/.exec(said)?.[1];
        if (address === undefined) return;
        clearTimeout(timer);
        resolve(address);
      });
    }
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MAX_MS);
  await ended;
  clearTimeout(timer);
}
