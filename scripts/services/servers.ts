import { existsSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { makeFolderFor } from "./account.ts";
import { end, record, runningPid, withLock } from "./daemon.ts";
import { elasticsearch, elasticsearchNodes } from "./elasticsearch.ts";
import { galeraNodes } from "./galera.ts";
import { mariadb } from "./mariadb.ts";
import {
  isFree,
  type Layout,
  type Place,
  readPlace,
  servicesDir,
  settingOf,
  settlePlace,
} from "./place.ts";
import { redis } from "./redis.ts";
import type { Server } from "./server.ts";

const layouts: Record<Layout, Server[]> = {
  single: [mariadb, redis, elasticsearch],
  cluster: [...galeraNodes, redis, ...elasticsearchNodes],
};

export function namesOf(layout: Layout): string[] {
  return layouts[layout].map((server) => server.name);
}

/** What may stand on a command line. */
export const allNames: string[] = [...new Set([...namesOf("single"), ...namesOf("cluster")])];

const READY_MAX_MS = 120_000;
const POLL_MS = 50;

export interface Status {
  name: string;
  port: number;
  /** Undefined where it is not running. */
  pid: number | undefined;
  healthy: boolean;
}

/** One at a time: two that look for free ports would be in each other's way. */
function settle(layout?: Layout): Promise<Place> {
  return withLock(servicesDir, () => settlePlace(layout));
}

/**
 * Groups servers that can start side by side; within a group one starts after the other. Settles
 * the layout, so this fails where there is another one.
 */
export async function groupForStart(layout: Layout, names: string[]): Promise<string[][]> {
  const place = await settle(layout);
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const { cluster } = find(name, layout);
    if (cluster === undefined) groups.set(name, [name]);
    else if (!groups.has(cluster.name)) {
      const order = await withLock(`${place.folder}/${cluster.name}`, () => cluster.order(place));
      const chosen = order.filter((one) => names.includes(one));
      groups.set(cluster.name, chosen);
    }
  }
  return [...groups.values()];
}

/** Starts the server where it does not run, and returns when it serves. */
export async function start(name: string): Promise<Status> {
  const place = await settle();
  const server = find(name, place.layout);
  const { cluster } = server;
  if (cluster === undefined) return await startAt(place, server);
  return await withLock(`${place.folder}/${cluster.name}`, () => startAt(place, server));
}

async function startAt(place: Place, server: Server): Promise<Status> {
  const folder = `${place.folder}/${server.name}`;
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
  const place = readPlace();
  if (place === undefined) return false;
  find(name, place.layout);
  const folder = `${place.folder}/${name}`;
  return await withLock(folder, () => end(`${folder}/pid`, signal));
}

/** What runs here; the process ids are for tests that pause a server. */
export async function status(): Promise<Status[]> {
  const place = readPlace();
  if (place === undefined) return [];
  return await Promise.all(layouts[place.layout].map((server) => statusOf(server, place)));
}

/** The names of the servers that are set up here, or would be. */
export function namesHere(): string[] {
  return namesOf(readPlace()?.layout ?? "single");
}

/** Stops them all and forgets everything that they held. */
export async function deleteAll(): Promise<void> {
  for (const name of namesHere()) await stop(name);
  const link = `${servicesDir}/data`;
  if (existsSync(link)) rmSync(realpathSync(link), { recursive: true, force: true });
  rmSync(servicesDir, { recursive: true, force: true });
}

function find(name: string, layout: Layout): Server {
  const server = layouts[layout].find((one) => one.name === name);
  if (server === undefined) throw new Error(`"${name}" is none of ${namesOf(layout).join(", ")}`);
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
