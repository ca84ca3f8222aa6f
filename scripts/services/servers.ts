import { existsSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { makeFolderFor } from "./account.ts";
import { end, record, runningPid, withLock } from "./daemon.ts";
import { elasticsearch } from "./elasticsearch.ts";
import { mariadb } from "./mariadb.ts";
import { isFree, type Place, readPlace, servicesDir, settingOf, settlePlace } from "./place.ts";
import { redis } from "./redis.ts";
import type { Server } from "./server.ts";

const servers: Server[] = [mariadb, redis, elasticsearch];
export const serverNames: string[] = servers.map((server) => server.name);

const READY_MAX_MS = 120_000;
const POLL_MS = 50;

export interface Status {
  name: string;
  port: number;
  /** Undefined where it is not running. */
  pid: number | undefined;
  healthy: boolean;
}

/** Starts the server where it does not run, and returns when it serves. */
export async function start(name: string): Promise<Status> {
  const server = find(name);
  // One at a time: two that look for free ports would be in each other's way.
  const place = await withLock(servicesDir, settlePlace);
  const folder = `${place.folder}/${name}`;
  return await withLock(folder, async () => {
    makeFolderFor(place.account, folder);
    const pidFile = `${folder}/pid`;
    if (runningPid(pidFile) === undefined) {
      await refuseTakenPorts(server, place);
      record(pidFile, await server.launch(place, folder));
    }
    await untilHealthy(server, place, folder);
    return await statusOf(server, place);
  });
}

/** Stops it, or kills it as a crash would; says whether it ran. Its data stays. */
export async function stop(
  name: string,
  { signal }: { signal: "SIGTERM" | "SIGKILL" } = { signal: "SIGTERM" },
): Promise<boolean> {
  find(name);
  const place = readPlace();
  if (place === undefined) return false;
  const folder = `${place.folder}/${name}`;
  return await withLock(folder, () => end(`${folder}/pid`, signal));
}

/** What runs here; the process ids are for tests that pause a server. */
export async function status(): Promise<Status[]> {
  const place = readPlace();
  if (place === undefined) return [];
  return await Promise.all(servers.map((server) => statusOf(server, place)));
}

/** Stops them all and forgets everything that they held. */
export async function deleteAll(): Promise<void> {
  for (const name of serverNames) await stop(name);
  const link = `${servicesDir}/data`;
  if (existsSync(link)) rmSync(realpathSync(link), { recursive: true, force: true });
  rmSync(servicesDir, { recursive: true, force: true });
}

function find(name: string): Server {
  const server = servers.find((one) => one.name === name);
  if (server === undefined) throw new Error(`"${name}" is none of ${serverNames.join(", ")}`);
  return server;
}

async function statusOf(server: Server, place: Place): Promise<Status> {
  const pid = runningPid(`${place.folder}/${server.name}/pid`);
  const healthy =
    pid !== undefined &&
    (await server.check(place).then(
      () => true,
      () => false,
    ));
  return { name: server.name, port: place.ports[server.ports[0]!], pid, healthy };
}

async function refuseTakenPorts(server: Server, place: Place): Promise<void> {
  for (const name of server.ports) {
    const port = place.ports[name];
    if (await isFree(port)) continue;
    throw new Error(`port ${port} is in use by another program: end that one, or start afresh
elsewhere with \`services down --delete\` and ${settingOf(name)}`);
  }
}

async function untilHealthy(server: Server, place: Place, folder: string): Promise<void> {
  const until = Date.now() + READY_MAX_MS;
  for (;;) {
    try {
      return await server.check(place);
    } catch (error) {
      const ended = runningPid(`${folder}/pid`) === undefined;
      if (ended || Date.now() > until) {
        throw new Error(`${server.name} ${ended ? "ended" : "does not answer"}: ${error}
${lastWords(folder)}`);
      }
    }
    await sleep(POLL_MS);
  }
}

function lastWords(folder: string): string {
  const file = `${folder}/log`;
  if (!existsSync(file)) return "";
  return readFileSync(file, "utf8").trimEnd().split("\n").slice(-15).join("\n");
}
