import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import { audit, CLEAN } from "../support/audit.ts";
import { type Deployment, deploy, type Member } from "../support/deployment.ts";
import { Load } from "../support/load.ts";
import { OwnMariadb } from "../support/own-mariadb.ts";
import { OwnRedis } from "../support/own-redis.ts";
import { pick, randomFrom } from "../support/random.ts";
import { elasticOf } from "../support/servers.ts";

// Faults at random under load against the production stack, then an audit of every answer that a
// client ever got. It prints one table, and ends with 1 where a promise was broken.

interface Chaos {
  parley: Deployment;
  redis: OwnRedis;
  mariadb: OwnMariadb;
  random: () => number;
}

/** A fault: breaks something, and mends it before it returns. */
type Fault = (chaos: Chaos) => Promise<void>;

const between = ({ random }: Chaos, leastMs: number, mostMs: number) =>
  sleep(leastMs + random() * (mostMs - leastMs));

const kill =
  (members: (parley: Deployment) => Member[]): Fault =>
  async (chaos) => {
    const one = pick(chaos.random, members(chaos.parley));
    await one.kill();
    await between(chaos, 0, 2_000);
    await one.start();
  };

const freeze =
  (members: (parley: Deployment) => Member[], mostMs: number): Fault =>
  async (chaos) => {
    const one = pick(chaos.random, members(chaos.parley));
    one.freeze();
    await between(chaos, 500, mostMs);
    one.thaw();
  };

type WireName = keyof Deployment["wires"];
const WIRES: WireName[] = ["redis", "mysql", "elasticsearch"];

const FAULTS: Record<string, Fault> = {
  "API killed": kill((parley) => parley.apis),
  "worker killed": kill((parley) => parley.workers),
  "scheduler killed": kill((parley) => parley.schedulers),
  "API told to stop": async ({ parley, random }) => {
    const one = pick(random, parley.apis);
    await one.stop();
    await one.start();
  },
  "worker told to stop": async ({ parley, random }) => {
    const one = pick(random, parley.workers);
    await one.stop();
    await one.start();
  },
  "API frozen": freeze((parley) => parley.apis, 3_000),
  "worker frozen past the stall time": freeze((parley) => parley.workers, 25_000),
  "Redis killed": async (chaos) => {
    await chaos.redis.kill();
    await between(chaos, 0, 2_000);
    await chaos.redis.start();
  },
  "Redis's scripts forgotten": async ({ redis }) => {
    await redis.command("SCRIPT", "FLUSH");
  },
  "database killed": async (chaos) => {
    await chaos.mariadb.kill();
    await between(chaos, 0, 5_000);
    await chaos.mariadb.start();
  },
  "connections cut": async ({ parley, random }) => parley.wires[pick(random, WIRES)].cut(),
  "connections silent": async ({ parley, random }) => parley.wires[pick(random, WIRES)].silence(),
  "nothing reached": async (chaos) => {
    const wire = chaos.parley.wires[pick(chaos.random, WIRES)];
    await wire.close();
    await between(chaos, 500, 5_000);
    await wire.open();
  },
  "index deleted": async ({ parley }) => {
    const { url, alias: index } = elasticOf(parley.place.env);
    await fetch(`${url}/${index}-*?expand_wildcards=all`, { method: "DELETE" }).catch(() => {});
  },
};

/** Redis's data gone or older: what was not stored yet may become void. */
const LOSSES: Record<string, Fault> = {
  "Redis emptied": async ({ redis }) => {
    await redis.command("FLUSHALL");
  },
  "end of Redis's file cut off": async ({ redis }) => {
    await redis.kill();
    redis.cutTail(300);
    await redis.start();
  },
};

const program = new Command("chaos")
  .description("mix faults at random under load on the production stack, then audit every answer")
  .option("--minutes <number>", "how long", "1")
  .option("--callers <number>", "how many callers at a time", "16")
  .option("--seed <number>", "draws the faults; another one each time unless told")
  .option("--losses", "also lose what Redis holds; then numbers may become void")
  .parse();
const options = program.opts<{
  minutes: string;
  callers: string;
  seed?: string;
  losses?: true;
}>();
const seed = Number(options.seed ?? Date.now() % 1_000_000);
const random = randomFrom(seed);
const faults = Object.entries(options.losses ? { ...FAULTS, ...LOSSES } : FAULTS);

const redis = await OwnRedis.start();
const mariadb = await OwnMariadb.start();
const parley = await deploy(
  { apis: 2, workers: 2, schedulers: 2 },
  { PARLEY_STALL_MS: "" },
  { redisUrl: redis.url, mysqlUrl: mariadb.url },
);
const chaos: Chaos = { parley, redis, mariadb, random };
const targets = parley.apis.map((api) => api.target);
const load = new Load(targets, random);
const counts: Record<string, number> = {};
try {
  await load.start(Number(options.callers));
  const endMs = performance.now() + Number(options.minutes) * 60_000;
  while (performance.now() < endMs) {
    await between(chaos, 500, 4_000);
    const [name, fault] = pick(random, faults);
    process.stderr.write(`${new Date().toISOString()} ${name}\n`);
    await fault(chaos);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  await load.stop();
  const { applicationToken, answers, missing } = load;
  const found = await audit(
    parley.place,
    { target: targets[0]!, applicationToken, answers, missing },
    180_000,
  );
  print(found);
} finally {
  load.close();
  await parley.stop();
  await redis.stop();
  await mariadb.stop();
}

function print({ answers, ...found }: Awaited<ReturnType<typeof audit>>): void {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const row = (name: string, value: string | number) => `| ${name} | ${value} |`;
  const promises: Record<string, number> = { ...CLEAN, void: 0 };
  if (options.losses) {
    delete promises.void;
    delete promises.doubled;
    delete promises.denied;
  }
  const broken = Object.keys(promises).filter((name) => found[name as keyof typeof found] !== 0);
  const lines = [
    row("", `${options.minutes} minutes, ${options.callers} callers, seed ${seed}`),
    row("---", "---"),
    row("answered calls", answers),
    row("calls that were refused and tried again", load.failures.length),
    row("faults", total),
    ...Object.entries(counts).map(([name, count]) => row(`- ${name}`, count)),
    ...Object.entries(found).map(([name, value]) => row(name, value)),
    row("longest time without an answer", `${(load.longestOutageMs / 1_000).toFixed(1)} s`),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  if (broken.length === 0) return;
  process.stderr.write(`broken: ${broken.join(", ")}\n`);
  process.exitCode = 1;
}
