import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureGoTool } from "../../scripts/go-tools.ts";

/** One command of a page's tour, with what the page shows below it. */
export interface Stop {
  command: string;
  shown: string;
}

/** The tour as a page has it: `$ ` begins a command, and what follows is its output. */
export function readTour(page = "README.md"): Stop[] {
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), "utf8");
  const blocks = text.split("<!-- tour:begin -->")[1]!.split("<!-- tour:end -->")[0]!;
  const stops: Stop[] = [];
  for (const [, block] of blocks.matchAll(/```console\n([\s\S]*?)```/g)) {
    for (const part of block!.split(/^\$ /m).slice(1)) {
      const lines = part.split("\n");
      let length = 1;
      while (lines[length - 1]!.endsWith("\\")) length++;
      const command = lines.slice(0, length).join("\n");
      stops.push({ command, shown: lines.slice(length).join("\n").trimEnd() });
    }
  }
  return stops;
}

/** What changes from run to run looks the same in every run after this. */
export function normalised(text: string): string {
  return text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "<uuid>")
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "<time>")
    .replace(/"?(nextPageToken|pageToken|next_page_token)"?: ?"[A-Za-z0-9_-]+"/g, '"$1": "<token>"')
    .trimEnd();
}

/** The grpcurl that this checkout built, or undefined where it was not built and need not be. */
export async function findGrpcurl(): Promise<string | undefined> {
  const required = process.env.PARLEY_TEST_REQUIRE_PRODUCTION === "1";
  const built = fileURLToPath(new URL("../../.cache", import.meta.url));
  if (!required && !existsSync(built)) return undefined;
  return ensureGoTool("grpcurl");
}

/** Runs the commands one after the other in one shell, as a reader would paste them. */
export async function runTour(
  stops: Stop[],
  options: {
    grpcurl?: string;
    address: string;
    http?: string;
    redisUrl?: string | undefined;
  },
): Promise<{ output: string; code: number }[]> {
  const shell = spawn("bash", ["--norc"], {
    env: {
      ...process.env,
      PATH: `${dirname(options.grpcurl ?? process.execPath)}${delimiter}${process.env.PATH}`,
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
  shell.stdin.write("exec 2>&1\n");
  const results: { output: string; code: number }[] = [];
  let text = "";
  let arrived = () => {};
  shell.stdout.on("data", (chunk) => {
    text += chunk;
    arrived();
  });
  for (const { command } of stops) {
    const redis = new URL(options.redisUrl ?? "redis://127.0.0.1:6379/0");
    const here = command
      .replaceAll("127.0.0.1:50051", options.address)
      .replaceAll("127.0.0.1:8080", options.http ?? "127.0.0.1:8080")
      .replaceAll("redis-cli ", `redis-cli -p ${redis.port} -n ${redis.pathname.slice(1) || 0} `);
    text = "";
    shell.stdin.write(`${here}\necho "==end $?"\n`);
    let end: RegExpExecArray | null = null;
    while (end === null) {
      await new Promise<void>((resolve) => {
        arrived = resolve;
      });
      end = /==end (\d+)\n/.exec(text);
    }
    results.push({ output: text.slice(0, end.index).trimEnd(), code: Number(end[1]) });
  }
  shell.stdin.end();
  return results;
}
