import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

// Runs tests on clusters of their own, beside the developer's servers, and takes them away again.

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = `${root}.services-cluster`;

/** Of what stands in the contract suites, what is about the servers of the production stack. */
const ABOUT_SERVERS = "MySQL|Elasticsearch|cluster";
const SUITES = [
  "test/cluster/*.ts",
  ...["store", "ledger", "migrations", "deletions", "search-index"].map(
    (name) => `test/contract/${name}.test.ts`,
  ),
];

/** Without what a shell says of other servers. */
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOfServers(name))),
  PARLEY_SERVICES_DIR: folder,
  PARLEY_TEST_REQUIRE_PRODUCTION: "1",
};

function isOfServers(name: string): boolean {
  return /^PARLEY_(SERVICES_|(MYSQL|REDIS|ELASTICSEARCH)_URL$)/.test(name);
}

const services = `${root}scripts/services.ts`;
const mocha = `${root}node_modules/mocha/bin/mocha.js`;

let tests: ChildProcess | undefined;
let interrupted = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    interrupted = true;
    // Servers that are just being started are ended when it is known which processes they are.
    tests?.kill(signal);
  });
}

/** Runs one of our programs to its end; gives its exit code. */
async function run(...words: string[]): Promise<number> {
  const startMs = performance.now();
  const child = spawn(process.execPath, words, { cwd: root, env, stdio: "inherit" });
  if (words[0] === mocha) tests = child;
  const [code] = await once(child, "exit");
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(0);
  console.log(`${words.slice(0, 2).join(" ")}: ${seconds} s`);
  return (code as number | null) ?? 1;
}

try {
  // What an earlier run left that was killed is in the way.
  if (existsSync(folder)) await run(services, "down", "--kill", "--delete");
  process.exitCode = await run(services, "up", "--cluster");
  if (process.exitCode === 0 && !interrupted) {
    process.exitCode = await run(mocha, "--no-parallel", "--grep", ABOUT_SERVERS, ...SUITES);
  }
  if (interrupted) process.exitCode = 1;
} finally {
  if (process.exitCode !== 0) printLogs();
  await run(services, "down", "--kill", "--delete");
}

/** The end of what each server said, since its files are about to go. */
function printLogs(): void {
  for (const name of ["mariadb-1", "mariadb-2", "mariadb-3"]) {
    const log = `${folder}/data/${name}/log`;
    if (!existsSync(log)) continue;
    const lines = readFileSync(log, "utf8").trimEnd().split("\n").slice(-20);
    console.log(`--- ${name}\n${lines.join("\n")}`);
  }
}
