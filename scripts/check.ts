import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generate } from "./gen.ts";
import { settingsPage } from "./settings.ts";

// Everything that can be said of the tree without running it. Each check is one line of output.

const root = fileURLToPath(new URL("..", import.meta.url));

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
}

/** The generated code is what the proto files give now. */
function freshGen(): void {
  const place = mkdtempSync(join(tmpdir(), "parley-gen-"));
  try {
    generate(place);
    run("diff", "-r", "gen", join(place, "gen"));
  } finally {
    rmSync(place, { recursive: true });
  }
}

/** The reference of settings is what the settings are now. */
function freshSettings(): void {
  const page = readFileSync(join(root, "docs", "settings.md"), "utf8");
  if (page !== settingsPage()) throw new Error("docs/settings.md is stale: npm run gen");
}

/** No change since main breaks a client that was built before it. */
function unbroken(): void {
  for (const base of ["origin/main", "HEAD~1", "HEAD"]) {
    try {
      run("git", "cat-file", "-e", `${base}:proto/parley/v1/message.proto`);
    } catch {
      continue;
    }
    run("buf", "breaking", "--against", `.git#ref=${base}`);
    return;
  }
}

const checks: [string, () => void][] = [
  ["types: tsc", () => run("tsc", "--noEmit")],
  ["format and lint: biome", () => run("biome", "ci", "--error-on-warnings", ".")],
  ["proto lint: buf", () => run("buf", "lint")],
  [
    "proto format: buf",
    () => run("buf", "format", "--diff", "--exit-code", "--path", "proto/parley"),
  ],
  ["proto breaking: buf", unbroken],
  ["generated code is fresh", freshGen],
  ["docs/settings.md is fresh", freshSettings],
];

let failed = 0;
for (const [name, check] of checks) {
  try {
    check();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed++;
    const { stdout, stderr } = error as { stdout?: Buffer; stderr?: Buffer };
    console.log(`FAILED  ${name}\n${stdout ?? ""}${stderr ?? error}`);
  }
}
process.exitCode = failed > 0 ? 1 : 0;
