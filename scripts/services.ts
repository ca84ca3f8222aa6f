import { relative } from "node:path";
import { Argument, Command, Option } from "commander";
import { install } from "./services/install.ts";
import { envFile, type Layout } from "./services/place.ts";
import {
  allNames,
  deleteAll,
  groupForStart,
  namesHere,
  namesOf,
  type Status,
  start,
  status,
  stop,
} from "./services/servers.ts";

// Real MariaDB, Redis and Elasticsearch for this checkout, without Docker, on ports of their own.

const names = () =>
  new Argument("[names...]", "which ones; all of them unless told").choices(allNames);
const program = new Command("services").description(
  "real servers for this checkout, without Docker",
);

program
  .command("up")
  .description("install what is missing, start what is not running, write .services/env")
  .addArgument(names())
  .option("--cluster", "MariaDB and Elasticsearch as clusters of three nodes, mariadb-1 and so on")
  .action(up);
program
  .command("down")
  .description("stop what `up` started; the data stays")
  .addArgument(names())
  .option("--kill", "end them as a crash would")
  .addOption(new Option("--delete", "delete the data of all of them too"))
  .action(down);
program.command("status").description("say what runs").action(printStatus);

try {
  await program.parseAsync();
} catch (error) {
  console.error(`services: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

async function up(chosen: string[], flags: { cluster?: true }): Promise<void> {
  const layout: Layout = flags.cluster ? "cluster" : "single";
  await install(layout, (line) => console.log(line));
  const before = await status();
  const groups = await groupForStart(layout, chosen.length === 0 ? namesOf(layout) : chosen);
  const started = await Promise.allSettled(
    groups.map(async (group) => {
      for (const name of group) await upOne(name, before);
    }),
  );
  const failed = started.flatMap((one) => (one.status === "rejected" ? [one.reason.message] : []));
  if (failed.length > 0) throw new Error([...new Set(failed)].join("\n"));
  console.log(`The settings to use them are in ${relative(".", envFile)}`);
}

async function upOne(name: string, before: Status[]): Promise<void> {
  const from = Date.now();
  const { pid, port } = await start(name);
  const ran = before.some((one) => one.name === name && one.pid === pid);
  const how = ran ? "was up already" : `is up after ${((Date.now() - from) / 1_000).toFixed(1)} s`;
  console.log(`${name} ${how}: 127.0.0.1:${port}, process ${pid}`);
}

async function down(chosen: string[], flags: { kill?: true; delete?: true }): Promise<void> {
  if (flags.delete && chosen.length > 0) throw new Error("--delete is for all of them at once");
  const signal = flags.kill ? "SIGKILL" : "SIGTERM";
  await Promise.all(
    (chosen.length === 0 ? namesHere() : chosen).map(async (name) => {
      const ran = await stop(name, { signal });
      console.log(ran ? `${name} is down` : `${name} was not running`);
    }),
  );
  if (flags.delete) await deleteAll();
}

async function printStatus(): Promise<void> {
  const found = await status();
  if (found.length === 0) console.log("Nothing is set up here: npm run services:up");
  const row = ({ name, port, pid, healthy }: Status) => [
    name.padEnd(15),
    `127.0.0.1:${port}`.padEnd(17),
    (pid === undefined ? "-" : String(pid)).padEnd(9),
    pid === undefined ? "down" : healthy ? "up" : "not answering",
  ];
  for (const one of found) console.log(row(one).join(" "));
}
