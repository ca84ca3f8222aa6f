import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import type { Measured } from "./measurement.ts";

const folder = fileURLToPath(new URL("results/", import.meta.url));

/** Keeps a whole run with its date, its machine and what was measured. */
export function keep(measured: Measured[]): void {
  const git = (...words: string[]) => execFileSync("git", words, { cwd: folder }).toString().trim();
  mkdirSync(folder, { recursive: true });
  const time = new Date().toISOString();
  const [cpu] = cpus();
  const run = {
    time,
    commit: `${git("rev-parse", "--short", "HEAD")}${git("status", "--short") === "" ? "" : "+"}`,
    machine: `${cpus().length} x ${cpu?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: process.version,
    measured,
  };
  const file = `${folder}${time.slice(0, 19).replaceAll(":", "")}.json`;
  writeFileSync(file, `${JSON.stringify(run, null, 2)}\n`);
}
