import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { freshDataDir } from "./servers.ts";
import { type Clients, openClients } from "./system.ts";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** How long a call may take while others attack and the machine is busy with other tests too. */
const CALL_MS = 60_000;

/** The generated clients, which give up later than they would by themselves. */
function patientClients(target: string): Clients {
  const { close, watchMessages, ...calls } = openClients(target);
  type Call = (request: object, options?: { timeoutMs?: number }) => Promise<unknown>;
  const patient = Object.entries(calls as Record<string, Call>).map(([name, call]) => [
    name,
    (request: object) => call(request, { timeoutMs: CALL_MS }),
  ]);
  return { ...Object.fromEntries(patient), watchMessages, close } as Clients;
}

/** A server as a user runs it, in a process of its own, on the embedded stack. */
export interface Child {
  port: number;
  target: string;
  clients: Clients;
  /** False once the process has ended, whatever ended it. */
  alive(): boolean;
  /** What it has in memory, in bytes. */
  resident(): number;
  stop(): Promise<void>;
}

export async function startChild(env: Record<string, string> = {}): Promise<Child> {
  const { dataDir, drop } = freshDataDir();
  const child: ChildProcess = spawn(process.execPath, [main, "all"], {
    env: {
      PATH: process.env.PATH,
      PARLEY_DATA_DIR: dataDir,
      PARLEY_GRPC_ADDRESS: "127.0.0.1:0",
      PARLEY_LOG_LEVEL: "silent",
      ...env,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let printed = "";
  for await (const chunk of child.stdout!.iterator({ destroyOnReturn: false })) {
    printed += chunk;
    if (/ on 127\.0\.0\.1:\d+ /.test(printed)) break;
  }
  child.stdout!.resume();
  const port = Number(/ on 127\.0\.0\.1:(\d+) /.exec(printed)?.[1]);
  const target = `127.0.0.1:${port}`;
  const clients = patientClients(target);
  return {
    port,
    target,
    clients,
    alive: () => child.exitCode === null && child.signalCode === null,
    resident: () =>
      1_024 * Number(execFileSync("ps", ["-o", "rss=", "-p", String(child.pid)]).toString()),
    stop: async () => {
      clients.close();
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGTERM");
        await once(child, "exit");
      }
      await drop();
    },
  };
}
