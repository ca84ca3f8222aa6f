import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureGoTool } from "./go-tools.ts";
import { findProgram, run } from "./programs.ts";

// Every client as a project that knows nothing of this one uses it: the packages of the server and
// of its TypeScript client are packed and installed into an empty project, which starts the server
// and takes the tour; then code for Go and for Python is generated and takes the same tour.

const root = fileURLToPath(new URL("..", import.meta.url));
const clients = join(root, "clients");

/** The server as a test of another team starts it; says its address, and ends with its input. */
const SERVER = `
import { startParley } from "@parley/client/testing";

const startMs = Date.now();
const parley = await startParley();
console.log(parley.address, Date.now() - startMs);
for await (const _ of process.stdin);
await parley.stop();
`;

/** An empty project with both packages, and with the tour compiled against their types. */
async function installPackages(folder: string): Promise<void> {
  const npm = (cwd: string, ...args: string[]) =>
    run("npm", [...args, "--silent", "--no-audit", "--no-fund"], { cwd });
  for (const place of [root, join(clients, "typescript")]) {
    await npm(place, "pack", "--pack-destination", folder);
  }
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  const packed = ["./parley-0.1.0.tgz", "./parley-client-0.1.0.tgz"];
  await npm(folder, "install", "--prefer-offline", ...packed);
  writeFileSync(join(folder, "server.mjs"), SERVER);
  copyFileSync(join(clients, "typescript/tour.mts"), join(folder, "tour.mts"));
  const types = ["--types", "node", "--typeRoots", join(root, "node_modules/@types")];
  const modules = ["--module", "nodenext", "--target", "es2022", "--strict", "--skipLibCheck"];
  // What the README says of tests; its other examples run in test/client.
  const readme = readFileSync(join(folder, "node_modules/@parley/client/README.md"), "utf8");
  const blocks = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block]) => block!);
  const example = blocks.find((block) => block.includes("@parley/client/testing"));
  writeFileSync(join(folder, "example.mjs"), example!);
  await run("tsc", ["tour.mts", ...modules, ...types], { cwd: folder });
}

/** The Node of this machine, which may be older than the one that npm scripts run on. */
function ownNode(): string {
  const brought = join(root, "node_modules/.bin");
  const folders = (process.env.PATH ?? "").split(delimiter).filter((one) => one !== brought);
  const found = folders.map((one) => join(one, "node")).filter((one) => existsSync(one));
  return found.find((one) => !one.includes("node_modules")) ?? process.execPath;
}

async function serve(node: string, folder: string) {
  const child = spawn(node, ["server.mjs"], { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "close");
  const said = await Promise.race([once(child.stdout, "data"), ended]);
  const [address, tookMs] = String(said[0]).split(" ");
  if (tookMs === undefined) throw new Error("the server of the package did not start");
  const stop = async () => {
    child.stdin.end();
    const [code] = await ended;
    if (code !== 0) throw new Error(`the server of the package ended with ${code}`);
  };
  return { address: address!, tookMs: Number(tookMs), stop };
}

async function tourOfGo(address: string): Promise<string> {
  const go = findProgram("go");
  if (go === undefined) throw new Error("there is no Go: see https://go.dev");
  const tools = [await ensureGoTool("protoc-gen-go"), await ensureGoTool("protoc-gen-go-grpc")];
  await generate("go", tools.map(dirname));
  return run(go, ["run", ".", address], { cwd: join(clients, "go") });
}

async function tourOfPython(address: string): Promise<string> {
  const wanted = join(clients, "python/requirements.txt");
  const folder = join(root, ".cache/python");
  const noted = join(folder, "requirements.txt");
  const bin = join(folder, "bin");
  // What was installed whole is noted last.
  if (!existsSync(noted) || readFileSync(noted, "utf8") !== readFileSync(wanted, "utf8")) {
    rmSync(folder, { recursive: true, force: true });
    await run("python3", ["-m", "venv", folder]);
    await run(join(bin, "pip"), ["install", "--quiet", "--no-deps", "-r", wanted]);
    copyFileSync(wanted, noted);
  }
  await generate("python", [bin]);
  const env = { ...process.env, PYTHONPATH: "gen", PYTHONDONTWRITEBYTECODE: "1" };
  return run(join(bin, "python"), ["tour.py", address], { cwd: join(clients, "python"), env });
}

async function generate(language: string, folders: string[]): Promise<void> {
  const env = { ...process.env, PATH: [...folders, process.env.PATH].join(delimiter) };
  await run("buf", ["generate", "--template", `buf.gen.${language}.yaml`], { cwd: root, env });
}

async function check(): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), "parley-clients-"));
  const seconds = (sinceMs: number) => `${((Date.now() - sinceMs) / 1_000).toFixed(1)} s`;
  const expected = readFileSync(join(clients, "tour.txt"), "utf8");
  let well = true;
  try {
    const startMs = Date.now();
    await installPackages(folder);
    console.log(`ok      both packages, installed into an empty project (${seconds(startMs)})`);
    const node = ownNode();
    const version = (await run(node, ["--version"])).trim();
    const parley = join(folder, "node_modules/.bin/parley");
    await run(parley, ["--help"], { cwd: folder, env: { PATH: dirname(parley) } });
    console.log("ok      the command parley of the package");
    const { address, tookMs, stop } = await serve(node, folder);
    console.log(`ok      startParley on Node ${version} (${tookMs} ms)`);
    const example = await run(node, ["example.mjs"], { cwd: folder });
    if (example !== "shop\n") throw new Error(`the README's example printed ${example}`);
    console.log("ok      the README's example for tests");
    const tours: [string, () => Promise<string>][] = [
      [`TypeScript on Node ${version}`, () => run(node, ["tour.mjs", address], { cwd: folder })],
      ["Go", () => tourOfGo(address)],
      ["Python", () => tourOfPython(address)],
    ];
    for (const [name, tour] of tours) {
      const sinceMs = Date.now();
      const said = await tour().catch((error: Error) => error.message);
      if (said === expected) console.log(`ok      the tour in ${name} (${seconds(sinceMs)})`);
      else console.log(`FAILED  the tour in ${name}\n${said}`);
      well &&= said === expected;
    }
    await stop();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return well;
}

try {
  process.exitCode = (await check()) ? 0 : 1;
} catch (error) {
  console.error(`clients-check: ${(error as Error).message}`);
  process.exitCode = 1;
}
