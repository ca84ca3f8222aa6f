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
  ports: Ports;
}

export type PortName = keyof typeof PORT_DEFAULTS;
export type Ports = Record<PortName, number>;

/**
 * Below 32768, where Linux starts to hand out ports to outgoing connections: there a client that
 * keeps trying a stopped server can end up connected to itself and hold the port.
 */
const PORT_DEFAULTS = {
  mysql: 13306,
  redis: 16379,
  elasticsearch: 19200,
  elasticsearchTransport: 19300,
};

/** How far above its default a port may move when another program is there. */
const PORT_STEPS_MAX = 50;

/** A Unix socket's path holds 107 bytes; MariaDB's is the folder and some 25 more. */
const FOLDER_BYTES_MAX = 80;

/** Plainly not a secret: the server listens on loopback only. */
export const MYSQL_PASSWORD = "parley";

export const servicesDir: string = fileURLToPath(new URL("../../.services", import.meta.url));
const envFile = `${servicesDir}/env`;
const dataLink = `${servicesDir}/data`;

/** The place as an earlier `up` left it; undefined where there was none. */
export function readPlace(): Place | undefined {
  if (!existsSync(envFile) || !existsSync(dataLink)) return undefined;
  const saved = readSaved();
  const ports = { ...PORT_DEFAULTS };
  for (const name of portNames()) ports[name] = Number(saved[settingOf(name)] ?? ports[name]);
  return { folder: realpathSync(dataLink), account: findAccount(), ports };
}

/** Chooses the folder and the ports once, writes them down, and from then on keeps to them. */
export async function settlePlace(): Promise<Place> {
  mkdirSync(servicesDir, { recursive: true });
  const account = findAccount();
  if (!existsSync(dataLink)) makeFolder(account);
  const ports = await choosePorts();
  writeEnv(ports);
  return { folder: realpathSync(dataLink), account, ports };
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
async function choosePorts(): Promise<Ports> {
  const saved = readSaved();
  const ports = { ...PORT_DEFAULTS };
  for (const name of portNames()) {
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

function portNames(): PortName[] {
  return Object.keys(PORT_DEFAULTS) as PortName[];
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

/** Renamed into place, so that nobody reads half of it. */
function writeEnv(ports: Ports): void {
  const lines = [
    `PARLEY_MYSQL_URL=mysql://parley:${MYSQL_PASSWORD}@127.0.0.1:${ports.mysql}/parley`,
    `PARLEY_REDIS_URL=redis://127.0.0.1:${ports.redis}/0`,
    `PARLEY_ELASTICSEARCH_URL=http://127.0.0.1:${ports.elasticsearch}`,
    ...portNames().map((name) => `${settingOf(name)}=${ports[name]}`),
  ];
  const unfinished = `${envFile}.${process.pid}`;
  writeFileSync(unfinished, `${lines.join("\n")}\n`);
  renameSync(unfinished, envFile);
}
