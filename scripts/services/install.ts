import { existsSync } from "node:fs";
import { findProgram, run } from "../programs.ts";
import { GALERA_LIBRARY } from "./galera.ts";
import { findJava } from "./java.ts";
import type { Layout } from "./place.ts";

/** A program of ours, and Debian's package that has it. */
const PROGRAMS = {
  mariadbd: "mariadb-server",
  "redis-server": "redis-server",
  unzip: "unzip",
  mvn: "maven",
};

/** By which nodes of a MariaDB cluster copy one another's files. */
const CLUSTER_PROGRAMS = { rsync: "rsync" };

/** The newer Debians have the first or second of these; the last brings pip, which fetches one. */
const JAVA_PACKAGES = ["openjdk-21-jre-headless", "openjdk-25-jre-headless", "python3-venv"];

/** Makes sure of every program that the servers need; quick where they are all there. */
export async function install(layout: Layout, say: (line: string) => void): Promise<void> {
  const needed = layout === "cluster" ? { ...PROGRAMS, ...CLUSTER_PROGRAMS } : PROGRAMS;
  const wanted = Object.entries(needed).filter(([program]) => findProgram(program) === undefined);
  const packages = wanted.map(([, name]) => name);
  if (layout === "cluster" && !existsSync(GALERA_LIBRARY)) packages.push("galera-4");
  const needsJava = findJava() === undefined;
  if (packages.length === 0 && (!needsJava || (await canFetchJava()))) return;
  // A list of somebody else's that cannot be read is no reason to stop: ours may be there.
  await aptGet(["update"], say).catch((error) => say(error.message));
  if (needsJava) packages.push(await firstOffered(JAVA_PACKAGES));
  await aptGet(["install", "-y", "--no-install-recommends", ...packages], say);
  for (const [program, name] of wanted) {
    if (findProgram(program) === undefined) throw new Error(`${name} brought no ${program}`);
  }
}

async function canFetchJava(): Promise<boolean> {
  const python = findProgram("python3");
  if (python === undefined) return false;
  return await run(python, ["-c", "import ensurepip, venv"]).then(
    () => true,
    () => false,
  );
}

async function firstOffered(names: string[]): Promise<string> {
  for (const name of names) {
    if (/Candidate: (?!\(none\))/.test(await run("apt-cache", ["policy", name]))) return name;
  }
  throw new Error(`Elasticsearch needs Java 21 or newer, and apt-get has none of ${names}`);
}

/**
 * The packages would start servers on the default ports, which are not ours to take. policy-rc.d
 * is Debian's way to say no; one that is there already is somebody else's and stays as it is.
 */
const QUIET_APT = `
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > "$policy" && chmod 755 "$policy"
fi
DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
`;

export async function aptGet(args: string[], say: (line: string) => void): Promise<void> {
  const root = process.getuid?.() === 0;
  const shown = `apt-get ${args.join(" ")}`;
  if (findProgram("apt-get") === undefined || !(root || findProgram("sudo") !== undefined)) {
    throw new Error(`programs are missing, and without root, sudo or apt we cannot: ${shown}`);
  }
  say(shown);
  const asRoot = root ? [] : ["sudo", "-n"];
  const [command, ...rest] = [...asRoot, "sh", "-c", QUIET_APT, "apt", ...args];
  await run(command!, rest);
}
