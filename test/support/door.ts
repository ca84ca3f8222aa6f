import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { pino } from "pino";
import { registry } from "../../src/api/contract.ts";
import type { KeyEntry } from "../../src/api/keys.ts";
import { type Route, services } from "../../src/api/routes.ts";
import { toConfig } from "../../src/config.ts";
import { type Connection, connectionOf } from "../../src/connect.ts";
import { createKey, type KeyWish } from "../../src/keys.ts";
import type { Logger } from "../../src/log.ts";
import { callOfBytes } from "./raw-calls.ts";
import type { Clients } from "./system.ts";
import type { Watching } from "./watching.ts";

const run = promisify(execFile);
const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** A folder of a test's own. */
export function freshFolder(): { path: (name: string) => string; drop: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "parley-door-"));
  return {
    path: (name) => join(folder, name),
    drop: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A key that may do everything, unless told otherwise, with its entry and the way to use it. */
export function makeKey(wish: Partial<KeyWish> = {}, nowMs = Date.now()) {
  const whole = { readOnly: false, applications: [], expireDays: undefined, comment: undefined };
  const made = createKey({ ...whole, ...wish }, nowMs);
  return { ...made, connection: withKey(made.key) };
}

/** What follows the id of a key; an underline may be in it. */
export const secretOf = (key: string): string => /^parley_[^_]+_(.+)$/.exec(key)![1]!;

/** In the clear, with a key. */
export function withKey(key: string): Connection {
  return connectionOf(toConfig({ PARLEY_CLIENT_KEY: key }));
}

export const inTheClear: Connection = { credentials: credentials.createInsecure(), options: {} };

/** Writes a file of keys as most programs do: beside the old one, and renamed. */
export function writeKeys(file: string, entries: KeyEntry[]): void {
  writeFileSync(`${file}.tmp`, JSON.stringify({ keys: entries }));
  renameSync(`${file}.tmp`, file);
}

/** A log at level trace that is kept in memory. */
export function keepLog(): { log: Logger; text: () => string } {
  const lines: string[] = [];
  const log = pino({ level: "trace" }, { write: (line) => void lines.push(line) });
  return { log, text: () => lines.join("") };
}

/** Looks again and again until it is so; fails in bounded time. */
export async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let looks = 0; looks < 200; looks++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`it did not come to pass: ${what}`);
}

/** Waits until a stream says something, or why it does not. */
async function firstOf(watching: Watching): Promise<void> {
  await watching.begun;
  await watching.cancel();
}

/** Every RPC with a request about an application that is in order. */
export function everyCall(clients: Clients, applicationToken: string) {
  const chat = { applicationToken, chatNumber: 1 };
  const application = { token: applicationToken, name: "renamed" };
  const reads = {
    getApplication: () => clients.getApplication({ applicationToken }),
    getChat: () => clients.getChat({ applicationToken, number: 1 }),
    listChats: () => clients.listChats({ applicationToken }),
    getMessage: () => clients.getMessage({ ...chat, number: 1 }),
    listMessages: () => clients.listMessages(chat),
    searchMessages: () => clients.searchMessages({ ...chat, query: "body" }),
    watchMessages: () => firstOf(clients.watchMessages(chat)),
  };
  const writes = {
    updateApplication: () => clients.updateApplication({ application }),
    createChat: () => clients.createChat({ applicationToken }),
    createMessage: () => clients.createMessage({ ...chat, message: { body: "body" } }),
    updateMessage: () =>
      clients.updateMessage({ ...chat, number: 1, message: { body: "another body" } }),
    deleteMessage: async () => {
      // One of its own: what was deleted cannot be changed by the next who calls all of these.
      const { message } = await clients.createMessage({ ...chat, message: { body: "body" } });
      await clients.deleteMessage({ ...chat, number: message!.number });
    },
  };
  const unbound = {
    listApplications: () => clients.listApplications({}),
    createApplication: () => clients.createApplication({ application: { name: "one more" } }),
  };
  return { reads, writes, unbound };
}

/**
 * A call of every RPC that is served, whatever it is, about an application. Its request need not be
 * in order: it is for keys that must not come as far as that.
 */
export function everyRoute(target: string, key: string | undefined, applicationToken: string) {
  const client = new Client(target, credentials.createInsecure());
  const metadata = new Metadata();
  if (key !== undefined) metadata.set("authorization", `Bearer ${key}`);
  const application = { token: applicationToken };
  const calls = services.flatMap(({ name, service, routes }) =>
    Object.entries(service).map(([rpc, { path }]) => {
      const { input } = registry.getService(name)!.method[rpc]!;
      const request = toBinary(input, create(input, { applicationToken, application }));
      const call = () => callOfBytes(client, path, request, { metadata });
      return { rpc, access: (routes as Record<string, Route<never, unknown>>)[rpc]!.access, call };
    }),
  );
  return { calls, close: () => client.close() };
}

/** Runs a command of main.ts to its end. */
export async function runCommand(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ stdout: string; stderr: string; code: number }> {
  const quiet = { PATH: process.env.PATH ?? "", PARLEY_LOG_LEVEL: "silent", ...env };
  return run(process.execPath, [main, ...args], { env: quiet, timeout: 60_000 }).then(
    ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
    (error: { stdout: string; stderr: string; code: number }) => error,
  );
}

/** Runs a command until its output has a text, stops it, and returns the output. */
export async function startCommand(
  args: string[],
  env: Record<string, string>,
  text: string,
): Promise<string> {
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env.PATH ?? "", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  let output = "";
  try {
    await new Promise<void>((resolve, reject) => {
      child.stdout.on("data", (chunk) => {
        output += chunk;
        if (output.includes(text)) resolve();
      });
      child.once("close", () => reject(new Error(`it ended without saying ${text}: ${output}`)));
    });
  } finally {
    child.kill("SIGTERM");
    await ended;
  }
  return output;
}

/** An authority of a test's own, made by openssl, and certificates of it. */
export async function makeAuthority(path: (name: string) => string, name: string) {
  const openssl = (...args: string[]) => run("openssl", args);
  const ca = { certFile: path(`${name}.crt`), keyFile: path(`${name}.key`) };
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await openssl(
    ...["req", "-x509", ...curve, "-keyout", ca.keyFile, "-out", ca.certFile],
    ...["-days", "2", "-subj", `/CN=${name}`, "-addext", "basicConstraints=critical,CA:true"],
  );
  const issue = async (leaf: string) => {
    const certFile = path(`${leaf}.crt`);
    const keyFile = path(`${leaf}.key`);
    await openssl(
      ...["req", "-x509", ...curve, "-keyout", keyFile, "-out", certFile, "-days", "2"],
      ...["-CA", ca.certFile, "-CAkey", ca.keyFile, "-subj", `/CN=${leaf}`],
      ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
      ...["-addext", "basicConstraints=critical,CA:false"],
    );
    return { certFile, keyFile };
  };
  return { ...ca, issue };
}
