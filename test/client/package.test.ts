import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "chai";
import * as client from "../../clients/typescript/src/index.ts";
import * as application from "../../gen/parley/v1/application.ts";
import * as chat from "../../gen/parley/v1/chat.ts";
import * as errors from "../../gen/parley/v1/errors.ts";
import * as message from "../../gen/parley/v1/message.ts";
import * as state from "../../gen/parley/v1/state.ts";
import { useSystem } from "../support/system.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const source = join(root, "clients/typescript");

/** What the examples print, one after the other: that of the README of all, and the package's. */
const PRINTED = [
  ["hello"],
  ["1 Hello, Straße!", "2 Hello again", "found 1"],
  [],
  ["INVALID_ARGUMENT FIELD_INVALID [", "  {", "    field: 'message.body',"],
  ["true"],
  ["new 1 one"],
];

describe("the package of the TypeScript client", () => {
  const parley = useSystem("embedded");

  it("exports everything that the contract's files do", () => {
    const inner = ["protobufPackage", "protobufFileName"];
    for (const file of [application, chat, errors, message, state]) {
      const names = Object.keys(file).filter(
        (name) =>
          !inner.includes(name) && !/(From|To)JSON$/.test(name) && !/AttributesEntry$/.test(name),
      );
      expect(client).to.include.keys(names);
    }
  });

  it("depends on what the server depends on, in the same versions", () => {
    const pack = (folder: string) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const [ours, servers] = [pack(source), pack(root)];
    expect(ours.version).to.equal(servers.version);
    expect(ours.peerDependencies).to.deep.equal({ parley: servers.version });
    expect(servers.dependencies).to.include(ours.dependencies);
  });

  it("has READMEs whose examples compile against the package and run", async function () {
    this.timeout(60_000);
    const folder = mkdtempSync(join(tmpdir(), "parley-package-"));
    try {
      await run("npm", ["run", "--silent", "build"], { cwd: source });
      mkdirSync(join(folder, "node_modules/@parley"), { recursive: true });
      symlinkSync(source, join(folder, "node_modules/@parley/client"));
      writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
      writeFileSync(join(folder, "ca.crt"), "");
      const readmes = [root, source].map((one) => readFileSync(join(one, "README.md"), "utf8"));
      const blocks = [...readmes.join("\n").matchAll(/```ts\n([\s\S]*?)```/g)].map(
        ([, block]) => block!,
      );
      const names = blocks.map((block, at) => {
        const text = block.replaceAll("127.0.0.1:50051", parley.target);
        writeFileSync(join(folder, `example-${at}.mts`), text);
        return `example-${at}`;
      });
      const types = ["--types", "node", "--typeRoots", join(root, "node_modules/@types")];
      const modules = ["--module", "nodenext", "--target", "es2022", "--strict", "--skipLibCheck"];
      const sources = names.map((name) => `${name}.mts`);
      await run("tsc", [...sources, ...modules, ...types], { cwd: folder });
      // The last one starts the package of the server, which npm run clients:check installs.
      const running = names
        .slice(0, -1)
        .map((name) => run("node", [`${name}.mjs`], { cwd: folder }));
      for (const [at, { stdout }] of (await Promise.all(running)).entries()) {
        const lines = stdout.split("\n").filter((line) => line !== "");
        expect(lines.slice(0, 3)).to.deep.equal(PRINTED[at]);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
