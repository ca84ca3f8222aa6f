import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";

// The walls of the house, read from the source text: docs/architecture.md says why they stand.

const root = fileURLToPath(new URL("..", import.meta.url));
const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: root })
  .toString()
  .split("\n")
  .filter((file) => file !== "" && existsSync(join(root, file)));
const sources = files.filter((file) =>
  /^(src|test|scripts|bench|clients\/typescript\/src)\/.*\.ts$/.test(file),
);
/** What other people run. */
const shipped = sources.filter((file) => /^(src|clients)\//.test(file));
const text = (file: string) => readFileSync(join(root, file), "utf8");

/** What a file imports: paths from the root for our own files, package names for the rest. */
function importsOf(file: string): string[] {
  const found = text(file).matchAll(
    /^(?:import|export)\b[^;]*?from\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm,
  );
  return [...found].map((match) => {
    const name = (match[1] ?? match[2] ?? match[3])!;
    if (name.startsWith(".")) return normalize(join(dirname(file), name));
    return name.split("/", name.startsWith("@") ? 2 : 1).join("/");
  });
}

const roomOf = (file: string) =>
  file
    .split("/")
    .slice(0, file.startsWith("src/") ? 2 : 1)
    .join("/");

/** What each room may import, beside itself: rooms, and packages of its own. */
const MAY_IMPORT: Record<string, { rooms: string[]; packages: string[] }> = {
  clients: { rooms: ["gen"], packages: ["@grpc/grpc-js"] },
  "src/core": { rooms: ["gen", "src/errors.ts"], packages: [] },
  "src/api": {
    rooms: ["gen", "src/core", "src/errors.ts", "src/events.ts", "src/log.ts", "src/process.ts"],
    packages: ["@grpc/grpc-js", "@bufbuild/protobuf", "grpc-health-check", "lru-cache", "zod"],
  },
  "src/http": {
    rooms: [
      "gen",
      "src/api/call.ts",
      "src/api/contract.ts",
      "src/api/decoding.ts",
      "src/api/routes.ts",
      "src/api/tls.ts",
      "src/api/watched.ts",
      "src/core/limits.ts",
      "src/errors.ts",
      "src/process.ts",
    ],
    packages: ["@bufbuild/protobuf", "fastify", "zod"],
  },
  "src/worker": {
    rooms: ["gen", "src/core", "src/errors.ts", "src/events.ts", "src/log.ts", "src/process.ts"],
    packages: ["cron-parser", "node-schedule"],
  },
  "src/operate": {
    rooms: [
      "gen",
      "src/core",
      "src/worker",
      "src/config.ts",
      "src/errors.ts",
      "src/log.ts",
      "src/process.ts",
    ],
    packages: ["zod"],
  },
  "src/transfer": {
    rooms: ["gen", "src/connect.ts"],
    packages: ["@grpc/grpc-js", "zod"],
  },
  "src/stacks": {
    rooms: ["gen", "src/core", "src/errors.ts", "src/log.ts", "src/config.ts"],
    packages: [
      "@elastic/elasticsearch",
      "@mikro-orm/core",
      "@mikro-orm/migrations",
      "@mikro-orm/mysql",
      "@mikro-orm/sql",
      "bee-queue",
      "ioredis",
      "kysely",
      "mysql2",
    ],
  },
};

describe("the house", () => {
  for (const [room, allowed] of Object.entries(MAY_IMPORT)) {
    it(`${room} imports only what it may`, () => {
      const wrong: string[] = [];
      for (const file of sources.filter((one) => one.startsWith(`${room}/`))) {
        for (const name of importsOf(file)) {
          if (name.startsWith("node:") || roomOf(name) === room) continue;
          const fine =
            name.includes("/") && !name.startsWith("@")
              ? allowed.rooms.includes(roomOf(name)) || allowed.rooms.includes(name)
              : allowed.packages.includes(name);
          if (!fine) wrong.push(`${file} imports ${name}`);
        }
      }
      expect(wrong).to.deep.equal([]);
    });
  }

  it("reads the environment in config.ts alone", () => {
    const readers = sources.filter(
      (file) => file.startsWith("src/") && text(file).includes("process.env"),
    );
    expect(readers).to.deep.equal(["src/config.ts"]);
  });

  it("keeps the clock out of the core, but for waiting", () => {
    const clocks = sources.filter(
      (file) => file.startsWith("src/core/") && /Date\.now|new Date\(\)/.test(text(file)),
    );
    expect(clocks).to.deep.equal(["src/core/wait.ts"]);
  });

  it("keeps files within 300 lines, lines within 100 columns, functions within 70 lines", () => {
    const wrong: string[] = [];
    for (const file of sources) {
      const lines = text(file).split("\n");
      if (lines.length > 300) wrong.push(`${file} has ${lines.length} lines`);
      lines.forEach((line, at) => {
        if ([...line].length > 100 && !/^import |https?:/.test(line.trim())) {
          wrong.push(`${file}:${at + 1} has ${line.length} columns`);
        }
      });
      if (shipped.includes(file)) wrong.push(...longFunctionsOf(file, lines));
    }
    expect(wrong).to.deep.equal([]);
  });

  it("uses none of the names that say nothing", () => {
    const banned = /\b\w*(manager|helper|util|common|controller|repository|dto|provider)\w*\b/i;
    const wrong = shipped.flatMap((file) => {
      const names = [...text(file).matchAll(/\b(?:class|function|const|interface|type) (\w+)/g)];
      return [file, ...names.map((match) => match[1]!)].filter(
        (name) => banned.test(name) && !["AbortController"].includes(name),
      );
    });
    expect(wrong).to.deep.equal([]);
  });

  it("has no file that nothing imports or runs", () => {
    const client = "clients/typescript/src";
    const entries = ["src/main.ts", `${client}/index.ts`, `${client}/testing.ts`];
    const imported = new Set(sources.flatMap(importsOf));
    const dead = shipped.filter((file) => !entries.includes(file) && !imported.has(file));
    expect(dead).to.deep.equal([]);
  });

  it("promises in docs/guarantees.md only what a test keeps that is there", () => {
    const named = text("docs/guarantees.md").match(/test\/[\w/-]+\.test\.ts/g) ?? [];
    expect(named).to.have.length.above(10);
    expect(named.filter((file) => !files.includes(file))).to.deep.equal([]);
  });

  it("leaves no work for later in the source", () => {
    const marks = new RegExp(["TO" + "DO", "FIX" + "ME", "X" + "XX"].join("|"));
    expect(sources.filter((file) => marks.test(text(file)))).to.deep.equal([]);
  });

  it("pins every package to an exact version", () => {
    const packs = ["package.json", "clients/typescript/package.json"];
    const versions = packs.flatMap((file) => {
      const { dependencies, devDependencies, peerDependencies } = JSON.parse(text(file));
      return Object.entries({ ...dependencies, ...devDependencies, ...peerDependencies });
    });
    expect(
      versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(String(version))),
    ).to.deep.equal([]);
  });
});

/** Functions are told by their indentation, which the formatter keeps. */
function longFunctionsOf(file: string, lines: string[]): string[] {
  const wrong: string[] = [];
  lines.forEach((line, at) => {
    const start = /^(\s*)(?:export )?(?:private |async |static )*(?:function\*? )?\w+.*\{$/.exec(
      line,
    );
    if (start === null || /^\s*(class|interface|export class|export interface|switch)/.test(line))
      return;
    if (!/\)[^)]*\{$/.test(line) && !/^\s*\)[^)]*\{$/.test(line)) return;
    const end = lines.findIndex((one, index) => index > at && one.startsWith(`${start[1]}}`));
    if (end - at > 71) wrong.push(`${file}:${at + 1} is ${end - at} lines long`);
  });
  return wrong;
}
