import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "chai";
import { type Command, CommanderError } from "commander";
import { buildProgram } from "../../src/cli/program.ts";
import { EXIT } from "../../src/cli/run.ts";
import { runOperation } from "../../src/operate/operation.ts";
import { operations } from "../../src/operate/operations.ts";
import { runCommand } from "../support/command.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (file: string) => readFileSync(`${root}/${file}`, "utf8");

/** Every command by what is typed for it, groups included. */
function commandsOf(command: Command, words: string[] = []): [string[], Command][] {
  const below = command.commands.flatMap((one) => commandsOf(one, [...words, one.name()]));
  return [[words, command], ...below];
}

/** Runs the command line in this process; returns what it wrote and how it ended. */
async function type(...words: string[]): Promise<{ written: string; ended: unknown }> {
  const program = buildProgram();
  let written = "";
  const write = (text: string) => {
    written += text;
  };
  for (const [, one] of commandsOf(program))
    one.configureOutput({ writeOut: write, writeErr: write });
  const ended = await program.parseAsync(words, { from: "user" }).catch((error) => error);
  return { written, ended };
}

/** What an operation says of arguments that are wrong, before it needs anything. */
async function refusalOf(name: string, typed: Record<string, unknown>) {
  const one = operations.find((operation) => operation.name === name)!;
  const none = {} as unknown as Parameters<typeof runOperation>[2];
  const output = {} as unknown as Parameters<typeof runOperation>[3];
  const error = await runOperation(one, typed, none, output).catch((reason) => reason);
  return (error as Error).message;
}

describe("parley", () => {
  const commands = commandsOf(buildProgram());

  it("has the commands that the documents name", () => {
    const names = buildProgram().commands.map((one) => one.name());
    const servers = ["start", "api", "worker", "scheduler", "migrate"];
    const operations = ["sync-counts", "verify-counts", "jobs", "explain", "doctor", "reindex"];
    const others = ["epoch", "keys", "health", "import", "export"];
    expect(names).to.have.members([...servers, ...operations, ...others]);
  });

  it("says with --help all about every command", async () => {
    for (const [words, command] of commands) {
      const { written, ended } = await type(...words, "--help");
      expect(ended).to.be.instanceOf(CommanderError).with.property("exitCode", 0);
      expect(command.description()).not.to.equal("");
      for (const { flags, description } of command.options) {
        expect(written).to.include(flags);
        expect(description).not.to.equal("");
      }
      for (const argument of command.registeredArguments) {
        expect(written).to.include(argument.name());
        expect(argument.description).not.to.equal("");
      }
      // A group shows its commands, and they show how they are typed.
      if (command.commands.length > 0) continue;
      expect(written).to.match(new RegExp(`Examples:\\n +\\$ npx parley ${words.join(" ")}`));
    }
  });

  it("takes its own examples as they stand", async () => {
    for (const [words, command] of commands.filter(([, one]) => one.commands.length === 0)) {
      const { written } = await type(...words, "--help");
      for (const [, line] of written.matchAll(/\$ npx parley (.+)$/gm)) {
        const typed = line!.replace(/ \|.*$/, "").match(/'[^']*'|\S+/g)!;
        const options = typed.slice(words.length).map((word) => word.replaceAll("'", ""));
        const parsed = buildProgram();
        const own = commandsOf(parsed).find(([name]) => name.join() === words.join())![1];
        own.action(() => {});
        await parsed.parseAsync([...words, ...options], { from: "user" });
      }
      expect(command.description()).to.match(/^[a-z].*[^.]$/);
    }
  });

  it("refuses what it does not know, in words", async () => {
    for (const [words, fault] of [
      [["jobz"], "unknown command 'jobz'"],
      [["doctor", "--yes"], "unknown option '--yes'"],
      [["import"], "required option '--file <path>' not specified"],
      [["jobs", "show"], "missing required argument 'id'"],
    ] as [string[], string][]) {
      const { written, ended } = await type(...words);
      expect(ended).to.be.instanceOf(CommanderError);
      expect(written).to.include(fault);
      expect(written).to.include("--help");
    }
  });

  it("names what was typed wrong without a gap where it has no one name", async () => {
    const words = await refusalOf("jobs retry", {});
    expect(words).to.match(/^either name jobs or say --all/);
  });

  it("tells the exit codes as the operations guide does", async () => {
    const { written } = await type("--help");
    const guide = read("docs/operations.md");
    for (const code of Object.values(EXIT)) {
      const words = new RegExp(`^ +${code} +(.+)$`, "m").exec(written)?.[1];
      expect(words, `exit code ${code}`).to.be.a("string");
      expect(guide).to.include(`| ${code} | ${words} |`);
    }
  });

  it("ends with 0 for help, 2 for a wrong command line or setting, 1 where it cannot", async () => {
    const [help, unknown, setting, away] = await Promise.all([
      runCommand({}, "--help"),
      runCommand({}, "jobs", "shwo"),
      runCommand({ PARLEY_STACK: "cloud" }, "doctor"),
      runCommand({ PARLEY_GRPC_ADDRESS: "127.0.0.1:1" }, "health", "--json"),
    ]);
    expect(help).to.include({ code: 0, stderr: "" });
    expect(unknown).to.include({ code: 2, stdout: "" });
    expect(setting).to.include({ code: 2, stdout: "" });
    expect(setting.stderr).to.match(/^parley doctor: settings are wrong:\nPARLEY_STACK /);
    expect(away).to.include({ code: 1, stdout: "" });
    expect(away.stderr).to.match(/^parley health: .*ECONNREFUSED/);
  });

  it("makes no folder to look at, and starts no part alone on the embedded stack", async () => {
    const env = { PARLEY_DATA_DIR: join(tmpdir(), `parley-missing-${process.pid}`) };
    const refused = [
      { words: ["doctor"], setting: "PARLEY_DATA_DIR" },
      { words: ["jobs", "list"], setting: "PARLEY_DATA_DIR" },
      { words: ["api"], setting: "PARLEY_STACK" },
      { words: ["worker"], setting: "PARLEY_STACK" },
    ];
    for (const { words, setting } of refused) {
      const { code, stdout, stderr } = await runCommand(env, ...words);
      expect({ code, stdout }, words[0]).to.deep.equal({ code: 2, stdout: "" });
      expect(stderr).to.contain(setting);
      expect(existsSync(env.PARLEY_DATA_DIR)).to.equal(false);
    }
  }).timeout(60_000);

  it("is what npx runs in a checkout, on the Node that the project brings", async () => {
    const run = promisify(execFile);
    const { stdout } = await run("npx", ["parley", "--version"], { cwd: root });
    expect(stdout.trim()).to.equal(JSON.parse(read("package.json")).version);
  }).timeout(60_000);
});
