import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { type Account, findAccount } from "./account.ts";

/** Where the servers of this checkout live, who they run as, and where they listen. */
export interface Place {
  /** Absolute, and open to the account: data, settings and logs, a folder for each server. */
  folder: string;
  account: Account | undefined;
  layout: Layout;
  ports: Ports;
}

/** One server of each kind, or three nodes of MariaDB and of Elasticsearch. A folder has one. */
export type Layout = keyof typeof PORTS;
export type PortName = { [L in Layout]: keyof (typeof PORTS)[L] }[Layout];
/** Those of the other layout are in it too, and nobody listens there. */
export type Ports = Record<PortName, number>;

/**
 * Below 32768, where Linux starts to hand out ports to outgoing connections: there a client that
 * keeps trying a stopped server can end up connected to itself and hold the port.
 */
const PORTS = {
  single: {
    mysql: 13306,
    redis: 16379,
    elasticsearch: 19200,
    elasticsearchTransport: 19300,
  },
  cluster: {
    ...{ mysql1: 14306, mysql2: 15306, mysql3: 16306 },
    ...{ mysqlGroup1: 14406, mysqlGroup2: 15406, mysqlGroup3: 16406 },
    ...{ mysqlIst1: 14506, mysqlIst2: 15506, mysqlIst3: 16506 },
    ...{ mysqlSst1: 14606, mysqlSst2: 15606, mysqlSst3: 16606 },
    redis: 17379,
    ...{ elasticsearch1: 20200, elasticsearch2: 21200, elasticsearch3: 22200 },
    ...{ elasticsearchTransport1: 20300, elasticsearchTransport2: 21300 },
    elasticsearchTransport3: 22300,
  },
};

/** How far above its default a port may move when another program is there. */
const PORT_STEPS_MAX = 50;

/** A Unix socket's path holds 107 bytes; MariaDB's is the folder and some 25 more. */
const FOLDER_BYTES_MAX = 80;

/** Plainly not a secret: the server listens on loopback only. */
export const MYSQL_PASSWORD = "parley";

/** Another folder is for who wants single servers and a cluster side by side. */
export const servicesDir: string =
  process.env.PARLEY_SERVICES_DIR ?? fileURLToPath(new URL("../../.services", import.meta.url));
export const envFile: string = `${servicesDir}/env`;
const dataLink = `${servicesDir}/data`;

/** The place as an earlier `up` left it; undefined where there was none. */
export function readPlace(): Place | undefined {
  if (!existsSync(envFile) || !existsSync(dataLink)) return undefined;
  const saved = readSaved();
  const layout = layoutOf(saved);
  const ports = defaultPorts(layout);
  for (const name of portNames(layout)) ports[name] = Number(saved[settingOf(name)] ?? ports[name]);
  return { folder: realpathSync(dataLink), account: findAccount(), layout, ports };
}

/**
 * Chooses folder, layout and ports once, writes them down, and from then on keeps to them. Without
 * a wish the layout is what it was.
 */
export async function settlePlace(wish?: Layout): Promise<Place> {
  mkdirSync(servicesDir, { recursive: true });
  const account = findAccount();
  const there = existsSync(dataLink) && existsSync(envFile) ? layoutOf(readSaved()) : undefined;
  if (there !== undefined && wish !== undefined && there !== wish) {
    const [has, flag] = there === "cluster" ? ["a cluster", "with"] : ["single servers", "without"];
    throw new Error(`${servicesDir} has ${has}: say \`services up\` ${flag} --cluster, or end that
with \`services down --delete\`, or set PARLEY_SERVICES_DIR to another folder`);
  }
  if (!existsSync(dataLink)) makeFolder(account);
  const layout = there ?? wish ?? "single";
  const ports = await choosePorts(layout);
  writeEnv(layout, ports);
  return { folder: realpathSync(dataLink), account, layout, ports };
}

/**
 * The account cannot reach a checkout in /root, say. Then the data lies in /var/tmp, and
 * `.services/data` is a link to it, so that it is found again and kept.
 */
function makeFolder(account: Account | undefined): void {
  if (account !== undefined) chmodSync(servicesDir, 0o755);
  const reached =
    account === undefined || spawnSync("test", ["-x", servicesDir], account).status === 0;
  if (reached && Buffer.byteLength(dataLink) <= FOLDER_BYTES_MAX) {
    mkdirSync(dataLink);
  } else {
    symlinkSync(mkdtempSync("/var/tmp/parley-services-"), dataLink);
  }
  if (account !== undefined) chownSync(realpathSync(dataLink), account.uid, account.gid);
}

/**
 * What was chosen before stays, because a running server cannot move; else what the user says; else
 * the first free port.
 */
async function choosePorts(layout: Layout): Promise<Ports> {
  const saved = readSaved();
  const ports = defaultPorts(layout);
  for (const name of portNames(layout)) {
    const setting = settingOf(name);
    const said = process.env[setting];
    const chosen = saved[setting] ?? said ?? String(await freePort(ports[name]));
    ports[name] = toPort(setting, chosen);
    if (said !== undefined && said !== chosen) {
      throw new Error(`${setting} is ${chosen} here until \`services down --delete\`, not ${said}`);
    }
  }
  return ports;
}

function toPort(setting: string, text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new Error(`${setting} is a port from 1 to 65535, not "${text}"`);
}

async function freePort(from: number): Promise<number> {
  for (let port = from; port < from + PORT_STEPS_MAX; port++) {
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port from ${from} to ${from + PORT_STEPS_MAX - 1}`);
}

export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

function defaultPorts(layout: Layout): Ports {
  return { ...PORTS.single, ...PORTS.cluster, ...PORTS[layout] };
}

function portNames(layout: Layout): PortName[] {
  return Object.keys(PORTS[layout]) as PortName[];
}

/** A folder from before there were clusters does not say. */
function layoutOf(saved: Record<string, string>): Layout {
  return saved.PARLEY_SERVICES_LAYOUT === "cluster" ? "cluster" : "single";
}

/** `elasticsearchTransport` is set by PARLEY_SERVICES_ELASTICSEARCH_TRANSPORT_PORT. */
export function settingOf(name: PortName): string {
  return `PARLEY_SERVICES_${name.replace(/[A-Z]/g, "_$&").toUpperCase()}_PORT`;
}

function readSaved(): Record<string, string> {
  if (!existsSync(envFile)) return {};
  const lines = readFileSync(envFile, "utf8").split("\n");
  return Object.fromEntries(
    lines.filter((line) => line.includes("=")).map((line) => line.split(/=(.*)/s, 2)),
  );
}

/**
 * Renamed into place, so that nobody reads half of it. Of a cluster Parley may use any node of
 * Elasticsearch, and one of MariaDB: docs/operations.md says why, and who leads it to another.
 */
function writeEnv(layout: Layout, ports: Ports): void {
  const { elasticsearch, elasticsearch1, elasticsearch2, elasticsearch3 } = ports;
  const isCluster = layout === "cluster";
  const mysql = isCluster ? ports.mysql1 : ports.mysql;
  const search = isCluster ? [elasticsearch1, elasticsearch2, elasticsearch3] : [elasticsearch];
  const lines = [
    `PARLEY_MYSQL_URL=mysql://parley:${MYSQL_PASSWORD}@127.0.0.1:${mysql}/parley`,
    `PARLEY_REDIS_URL=redis://127.0.0.1:${ports.redis}/0`,
    `PARLEY_ELASTICSEARCH_URL=${search.map((port) => `http://127.0.0.1:${port}`).join(",")}`,
    ...(isCluster ? [`PARLEY_SERVICES_LAYOUT=${layout}`] : []),
    ...portNames(layout).map((name) => `${settingOf(name)}=${ports[name]}`),
  ];
  const unfinished = `${envFile}.${process.pid}`;
  writeFileSync(unfinished, `${lines.join("\n")}\n`);
  renameSync(unfinished, envFile);
}
