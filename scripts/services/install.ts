import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, readFileSync } from "node:fs";
import { promisify } from "node:util";

const exec = promisify(execFile);

/** Elasticsearch 9 does not start on an older one. */
const JAVA_MAJOR_MIN = 21;

/** A program of ours, and Debian's package that has it. */
const PROGRAMS = {
  mariadbd: "mariadb-server",
  "redis-server": "redis-server",
  unzip: "unzip",
  mvn: "maven",
};

const JAVA_PACKAGES = ["openjdk-21-jre-headless", "openjdk-25-jre-headless"];

/** Makes sure of every program that the servers need; quick where they are all there. */
export async function install(say: (line: string) => void): Promise<void> {
  const wanted = Object.entries(PROGRAMS).filter(([program]) => findProgram(program) === undefined);
  const packages = wanted.map(([, name]) => name);
  const needsJava = findJava() === undefined;
  if (packages.length === 0 && !needsJava) return;
  await aptGet(["update"], say).catch((error) => say(`apt-get update: ${error.message}`));
  if (needsJava) packages.push(await chooseJava());
  await aptGet(["install", "-y", "--no-install-recommends", ...packages], say);
  for (const [program, name] of wanted) {
    if (findProgram(program) === undefined) throw new Error(`${name} brought no ${program}`);
  }
  if (findJava() === undefined) throw new Error(javaMissing);
}

const javaMissing =
  `Elasticsearch needs a JDK ${JAVA_MAJOR_MIN} or newer: none is in JAVA_HOME or /usr/lib/jvm, ` +
  `and apt-get has none of ${JAVA_PACKAGES.join(", ")}. Install one and set JAVA_HOME.`;

async function chooseJava(): Promise<string> {
  for (const name of JAVA_PACKAGES) {
    const { stdout } = await exec("apt-cache", ["policy", name]);
    if (/Candidate: (?!\(none\))/.test(stdout)) return name;
  }
  throw new Error(javaMissing);
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

async function aptGet(args: string[], say: (line: string) => void): Promise<void> {
  const asRoot = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  const shown = `apt-get ${args.join(" ")}`;
  if (findProgram("apt-get") === undefined || (asRoot[0] && findProgram("sudo") === undefined)) {
    throw new Error(`these programs are missing, and we cannot install them: ${shown}`);
  }
  say(shown);
  const [command, ...rest] = [...asRoot, "sh", "-c", QUIET_APT, "apt", ...args];
  await run(command!, rest);
}

/** Runs to the end; what a failed program said last is in the error. */
export async function run(
  command: string,
  args: string[],
  options: { uid?: number; gid?: number; cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<void> {
  try {
    await exec(command, args, { ...options, maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    const { stdout = "", stderr = "", code } = error as { [key: string]: string };
    const words = `${stdout}\n${stderr}`.trim().split("\n").slice(-15).join("\n");
    throw new Error(`${command} ${args.join(" ")} failed (${code}):\n${words}`);
  }
}

/** Servers lie in /usr/sbin, which is in few users' PATH. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  return folders.map((folder) => `${folder}/${name}`).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The home of a JDK that Elasticsearch can run on. */
export function findJava(): string | undefined {
  const jvms = "/usr/lib/jvm";
  const installed = existsSync(jvms) ? readdirSync(jvms).map((name) => `${jvms}/${name}`) : [];
  const said = [process.env.JAVA_HOME, process.env.ES_JAVA_HOME].filter(
    (home) => home !== undefined,
  );
  return [...said, ...installed].find((home) => javaMajor(home) >= JAVA_MAJOR_MIN);
}

/** Every JDK says its version in a file named release. */
function javaMajor(home: string): number {
  const release = `${home}/release`;
  if (!existsSync(release) || !isExecutable(`${home}/bin/java`)) return 0;
  return Number(readFileSync(release, "utf8").match(/^JAVA_VERSION="(\d+)/m)?.[1] ?? 0);
}
