import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";

/** The text of a script that lies beside this file. */
export const read = (name: string): string =>
  readFileSync(new URL(`./${name}.lua`, import.meta.url), "utf8");

/** The scripts, for ioredis to define: it sends a body once a connection, and again where lost. */
export const scripts = {
  accept: { lua: read("accept"), numberOfKeys: 4 },
  install: { lua: read("install"), numberOfKeys: 1 },
  remove: { lua: read("remove"), numberOfKeys: 3 },
  grant: { lua: read("grant"), numberOfKeys: 3 },
  forget: { lua: read("forget"), numberOfKeys: 1 },
  requeue: { lua: read("requeue"), numberOfKeys: 3 },
  drop: { lua: read("drop"), numberOfKeys: 2 },
  ghosts: { lua: read("ghosts"), numberOfKeys: 3 },
  strays: { lua: read("strays"), numberOfKeys: 6 },
  stalled: { lua: read("stalled"), numberOfKeys: 6 },
  trial: { lua: read("trial"), numberOfKeys: 4 },
  settle: { lua: read("settle"), numberOfKeys: 5 },
};

type Run = (...keysAndArguments: (string | number | Buffer)[]) => Promise<unknown>;

/** A client as ioredis makes it of the scripts above. */
export type ScriptedRedis = Redis & Record<keyof typeof scripts, Run>;
