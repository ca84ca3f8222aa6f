import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findProgram, run } from "./programs.ts";
import { aptGet } from "./services/install.ts";

// Reads the alert rules with promtool, and runs their unit tests. promtool comes in Debian's
// package prometheus, which would also start a server: where it is missing, the package is
// unpacked into .cache and not installed.

const root = fileURLToPath(new URL("..", import.meta.url));
const CACHED = join(root, ".cache/promtool");

async function findPromtool(): Promise<string> {
  const installed = findProgram("promtool");
  if (installed !== undefined) return installed;
  if (!existsSync(CACHED)) await unpack();
  return CACHED;
}

async function unpack(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "parley-promtool-"));
  try {
    // The lists may be there already; without them the next step fails, and says why.
    await aptGet(["update"], console.log).catch((error) => console.log(error.message));
    // As whoever we are, so that the file is ours.
    await run("apt-get", ["-q", "download", "prometheus"], { cwd: folder });
    const [file] = readdirSync(folder);
    await run("dpkg-deb", ["-x", file!, "."], { cwd: folder });
    mkdirSync(dirname(CACHED), { recursive: true });
    const unfinished = `${CACHED}.${process.pid}`;
    await run("cp", [join(folder, "usr/bin/promtool"), unfinished]);
    renameSync(unfinished, CACHED);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

try {
  const promtool = await findPromtool();
  const folder = join(root, "deploy/prometheus");
  console.log((await run(promtool, ["--version"])).split("\n")[0]);
  console.log((await run(promtool, ["check", "rules", "alerts.yml"], { cwd: folder })).trim());
  console.log((await run(promtool, ["test", "rules", "alerts.test.yml"], { cwd: folder })).trim());
} catch (error) {
  console.error(`alerts-check: ${(error as Error).message}`);
  process.exitCode = 1;
}
