import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { toConfig } from "../src/config.ts";
import { createKey } from "../src/keys.ts";
import { openLog } from "../src/log.ts";
import { openSystem } from "../src/system.ts";
import { findProgram, run } from "./programs.ts";

// Holds the HTTP door against its own OpenAPI document: schemathesis makes requests that are in
// order and requests that are not, from the document alone, and looks at every answer.
//   node scripts/http-check.ts [more arguments of schemathesis]

const VERSION = "4.32.5";
const RUN_MS_MAX = 180_000;

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Schemathesis in a Python environment of this checkout. */
async function ensureSchemathesis(): Promise<string> {
  const place = here(`../.cache/schemathesis-${VERSION}`);
  const program = join(place, "bin", "schemathesis");
  if (existsSync(join(place, "complete"))) return program;
  const python = findProgram("python3");
  if (python === undefined) throw new Error("schemathesis is a Python package, and there is none");
  rmSync(place, { recursive: true, force: true });
  mkdirSync(here("../.cache"), { recursive: true });
  await run(python, ["-m", "venv", place]);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  await run(join(place, "bin", "python"), [...pip, `schemathesis==${VERSION}`]);
  writeFileSync(join(place, "complete"), "");
  return program;
}

/** A server on the embedded stack and a free port, which asks for keys. */
async function serve(folder: string) {
  const wish = { readOnly: false, applications: [], expireDays: undefined, comment: undefined };
  const { key, entry } = createKey(wish, Date.now());
  const keysFile = join(folder, "keys.json");
  writeFileSync(keysFile, JSON.stringify({ keys: [entry] }));
  const config = toConfig({
    PARLEY_DATA_DIR: join(folder, "data"),
    PARLEY_GRPC_ADDRESS: "127.0.0.1:0",
    PARLEY_HTTP_ADDRESS: "127.0.0.1:0",
    PARLEY_KEYS_FILE: keysFile,
    PARLEY_LOG_LEVEL: "warn",
  });
  const { log, flush } = openLog({ level: "warn", process: "http-check", to: "stderr" });
  const system = await openSystem(config, ["api", "worker", "scheduler"], log);
  for (const one of system.processes) await one.start();
  const stop = async () => {
    for (const one of system.processes.reverse()) await one.stop();
    await system.stack.stop();
    flush();
  };
  return { key, port: system.http!.port, stop };
}

async function check(folder: string): Promise<number> {
  const program = await ensureSchemathesis();
  const { key, port, stop } = await serve(folder);
  try {
    const options = ["--config-file", here("schemathesis.toml"), "run"];
    const child = spawn(
      program,
      [
        ...options,
        ...["--header", `Authorization: Bearer ${key}`],
        ...process.argv.slice(2),
        `http://127.0.0.1:${port}/openapi.json`,
      ],
      { cwd: folder, stdio: "inherit", timeout: RUN_MS_MAX },
    );
    const [code, signal] = await once(child, "close");
    if (signal !== null) console.error(`http-check: schemathesis was ended after ${RUN_MS_MAX} ms`);
    return code ?? 1;
  } finally {
    await stop();
  }
}

const folder = mkdtempSync(join(tmpdir(), "parley-http-"));
try {
  process.exitCode = await check(folder);
} catch (error) {
  console.error(`http-check: ${(error as Error).message}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
