import { closeSync, copyFileSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { Redis } from "ioredis";
import { type Connection, createConnection } from "mysql2/promise";
import { State } from "../../clients/typescript/src/contract.ts";
import type { Finding, Rank } from "../../src/core/upkeep.ts";
import { doctorOperation } from "../../src/operate/doctor.ts";
import { quickCheck } from "../../src/stacks/sqlite/quick-check.ts";
import { Scheduler } from "../../src/worker/scheduler.ts";
import { runCommand, runHere } from "../support/command.ts";
import { elasticOf, productionMissing } from "../support/servers.ts";
import {
  describeStacks,
  freshPlace,
  type Place,
  type Running,
  start,
  testLog,
} from "../support/system.ts";

/** What doctor finds on a running system. */
async function examine(parley: Running): Promise<Finding[]> {
  const { code, lines } = await runHere(doctorOperation, { json: true }, parley);
  const { findings, errors } = read(lines);
  expect(code).to.equal(errors > 0 ? 1 : 0);
  return findings;
}

/** One of each stands alone, and of more or none they are several. */
const SUMMARY = new RegExp(
  `${["error", "warning", "note"].map((noun) => `(1 ${noun}|(?!1 )\\d+ ${noun}s)`).join(", ")}\n$`,
);

/** The findings, a line each, and how many of them are errors, from the last line. */
function read(lines: string[]): { findings: Finding[]; errors: number } {
  const items = lines.map((line) => JSON.parse(line));
  const { summary } = items.pop();
  return { findings: items as Finding[], errors: summary.errors };
}

function expectFinding(found: Finding[], wanted: { rank: Rank; part: string; what: RegExp }) {
  const { rank, part, what } = wanted;
  const one = found.find((each) => each.part === part && what.test(each.what));
  expect(one, JSON.stringify(found)).to.include({ rank });
  expect(one!.advice).to.not.equal("");
}

describeStacks("doctor", (stack) => {
  let place: Place;
  let parley: Running;
  let key: { applicationToken: string; chatNumber: number };

  before(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    key = { applicationToken: application!.token, chatNumber: 1 };
    const waitFor = State.STATE_PERSISTED;
    await parley.clients.createChat({ applicationToken: key.applicationToken, waitFor });
    await parley.clients.createMessage({ ...key, message: { body: "x" }, waitFor });
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
  });

  it("misses the scheduler, and nothing where all is well", async () => {
    const found = await examine(parley);
    expectFinding(found, { rank: "warning", part: "chores", what: /sync-counts/ });
    const { stack, core } = parley.system;
    const rule = "0 0 1 1 *";
    const yearly = {
      syncCron: rule,
      repairCron: rule,
      purgeCron: rule,
      retentionCron: rule,
      retentionDays: 0,
    };
    const scheduler = new Scheduler({ ...stack, ...core, log: testLog }, yearly);
    await scheduler.start();
    await scheduler.stop();
    for (const name of ["sync-counts", "repair-index", "reseed-counters", "purge"]) {
      await stack.upkeep.noteChoreRun({ name, beganTime: new Date() });
    }
    const after = await examine(parley);
    // The disk under the tests may be as full as it likes.
    const wrong = after.filter((one) => one.rank !== "note" && !/disk/.test(one.what));
    expect(wrong).to.deep.equal([]);
  });

  it("ranks what it finds, tells what to do and ends with 1 where there is an error", async () => {
    const well = await runCommand(place.env, "doctor");
    expect(well.stdout, well.stderr).to.match(SUMMARY);
    const { ledger, upkeep } = parley.system.stack;
    expect(await upkeep.mendCount({ counter: key, from: 0, to: 7 })).to.equal(true);
    await ledger.witness({ processId: "other", epoch: 1, accepts: 1_000 });
    const found = await examine(parley);
    expectFinding(found, { rank: "error", part: "numbers", what: /lost \d+ accepts/ });
    expectFinding(found, { rank: "warning", part: "counts", what: /1 of 2 .*\(count\)/ });
    expect(found[0]!.rank).to.equal("error");
    const ran = await runCommand(place.env, "doctor");
    expect(ran.code).to.equal(1);
    expect(ran.stdout)
      .to.match(/^error {3}\w+/)
      .and.include("> an older copy came back");
    await runCommand(place.env, "epoch", "new", "--yes");
    await upkeep.mendCount({ counter: key, from: 7, to: 0 });
  });

  it("tells an epoch that is not installed", async () => {
    const { ledger } = parley.system.stack;
    const { epoch } = await ledger.get();
    await ledger.begin({ after: epoch, runId: "x" });
    expectFinding(await examine(parley), { rank: "warning", part: "numbers", what: /installed/ });
    await parley.clients.createMessage({ ...key, message: { body: "x" } });
  });

  it("tells what the index lacks, and chores that are late", async () => {
    const { store } = parley.system.stack;
    await store.noteGaps([{ ...key, range: { firstNumber: 1, lastNumber: 1 } }]);
    expectFinding(await examine(parley), { rank: "warning", part: "search", what: /1 chats/ });
  });
});

const suite = productionMissing === undefined ? describe : describe.skip;
suite("doctor on the production stack", () => {
  let place: Place;
  let parley: Running;
  let redis: Redis;
  let database: Connection;

  before(async () => {
    place = await freshPlace("production");
    parley = await start(place);
    redis = new Redis(place.env.PARLEY_REDIS_URL!);
    database = await createConnection(place.env.PARLEY_MYSQL_URL!);
  });
  after(async () => {
    redis?.disconnect();
    await database?.end();
    await parley?.stop();
    await place?.drop();
  });

  const settings: [name: string, value: () => Promise<string>, what: RegExp][] = [
    ["maxmemory-policy", async () => "allkeys-lru", /maxmemory-policy is allkeys-lru/],
    ["appendfsync", async () => "everysec", /appendfsync is everysec/],
    ["maxmemory", async () => String(Math.ceil(1.05 * (await usedMemory()))), /% of maxmemory/],
  ];
  const usedMemory = async () =>
    Number(/used_memory:(\d+)/.exec(await redis.info("memory"))?.[1] ?? 0);
  for (const [name, value, what] of settings) {
    it(`tells that Redis's ${name} is dangerous`, async () => {
      const [, before] = (await redis.config("GET", name)) as string[];
      await redis.config("SET", name, await value());
      try {
        expectFinding(await examine(parley), { rank: "error", part: "Redis", what });
      } finally {
        await redis.config("SET", name, before!);
      }
    });
  }

  it("tells how old the oldest job is, what is parked and how full the backlog is", async () => {
    const old = { data: {}, options: { timestamp: Date.now() - 700_000, stacktraces: ["x"] } };
    await redis.hset("bq:parley:jobs", "old", JSON.stringify({ ...old, status: "created" }));
    await redis.hset("bq:parley:jobs", "dead", JSON.stringify({ ...old, status: "failed" }));
    await redis.sadd("bq:parley:failed", "dead");
    await parley.stop();
    parley = await start(place, [], { PARLEY_BACKLOG_MAX: "2" });
    await redis.lpush("bq:parley:waiting", "old");
    const found = await examine(parley);
    expectFinding(found, { rank: "error", part: "Redis", what: /oldest job .* 70\d s/ });
    expectFinding(found, { rank: "warning", part: "jobs", what: /^1 jobs are parked/ });
    expectFinding(found, { rank: "error", part: "jobs", what: /backlog is 2 .* 2;/ });
    await redis.del("bq:parley:jobs", "bq:parley:waiting", "bq:parley:failed");
    await parley.stop();
    parley = await start(place);
  });

  it("tells settings that do not go together", async () => {
    const large = { PARLEY_MYSQL_POOL_MAX: "1000", PARLEY_WORKER_LANES: "64" };
    const pool = await runHere(doctorOperation, { json: true }, { ...place.env, ...large });
    const found = read(pool.lines).findings;
    expectFinding(found, { rank: "error", part: "MySQL", what: /POOL_MAX is 1000/ });
    const lanes = { PARLEY_MYSQL_POOL_MAX: "2", PARLEY_WORKER_LANES: "3" };
    const few = await runHere(doctorOperation, { json: true }, { ...place.env, ...lanes });
    const others = read(few.lines).findings;
    expectFinding(others, { rank: "warning", part: "settings", what: /LANES is 3/ });
  });

  it("tells an index that takes nothing, was replaced, or is being rebuilt", async () => {
    const { index, store } = parley.system.stack;
    await store.adoptIndex(await index.identity());
    const { url, alias } = elasticOf(place.env);
    const put = (block: boolean | null) =>
      fetch(`${url}/${alias}/_settings`, {
        method: "PUT",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ "index.blocks.read_only_allow_delete": block }),
      });
    await put(true);
    const part = "Elasticsearch";
    expectFinding(await examine(parley), { rank: "error", part, what: /takes no documents/ });
    await put(null);
    const rebuild = await index.rebuild();
    expectFinding(await examine(parley), { rank: "warning", part, what: /reindex is under way/ });
    await rebuild.abandon();
    await store.adoptIndex("another");
    expectFinding(await examine(parley), { rank: "warning", part, what: /is another one/ });
    await fetch(`${url}/${alias}-1`, { method: "DELETE" });
    expectFinding(await examine(parley), { rank: "warning", part, what: /there is no/ });
  });

  it("tells what migrations the database lacks, where nothing else of Parley starts", async () => {
    await database.query("UPDATE migrations SET name = 'x' WHERE name = '0003-chore-runs'");
    const ran = await runCommand(place.env, "doctor");
    await database.query("UPDATE migrations SET name = '0003-chore-runs' WHERE name = 'x'");
    expect(ran.code).to.equal(1);
    expect(ran.stdout).to.match(
      /^error {3}MySQL: the database lacks 0003-chore-runs\n +> npx parley migrate/,
    );
  });

  for (const [name, part, away] of [
    ["PARLEY_MYSQL_URL", "MySQL", "mysql://a:b@127.0.0.1:1/x"],
    ["PARLEY_REDIS_URL", "Redis", "redis://127.0.0.1:1"],
    ["PARLEY_ELASTICSEARCH_URL", "Elasticsearch", "http://127.0.0.1:1"],
  ] as const) {
    it(`tells first that ${part} is away, and looks at the rest`, async () => {
      const ran = await runCommand({ ...place.env, [name]: away }, "doctor", "--json");
      const { findings } = read(ran.stdout.trimEnd().split("\n"));
      expect(findings[0]).to.include({ rank: "error", part });
      expect(findings[0]!.what).to.match(/^cannot be reached: .*ECONNREFUSED/);
      expect(findings[0]!.advice).to.include(name);
      const others = ["MySQL", "Redis", "Elasticsearch"].filter((one) => one !== part);
      for (const other of others) {
        expect(findings.some((one) => one.part === other && /answers in/.test(one.what))).to.equal(
          true,
        );
      }
      expect(ran.code).to.equal(1);
    });
  }
});

describe("doctor on the embedded stack", () => {
  let place: Place;

  before(async () => {
    place = await freshPlace("embedded");
    const parley = await start(place);
    await parley.clients.createApplication({ application: { name: "x" } });
    await parley.stop();
  });
  after(() => place?.drop());

  it("tells a damaged file from a good one", async () => {
    const file = join(place.env.PARLEY_DATA_DIR!, "store.db");
    const damaged = `${file}.damaged`;
    copyFileSync(file, damaged);
    const handle = openSync(damaged, "r+");
    for (let page = 2; page < 8; page++)
      writeSync(handle, Buffer.alloc(512, 77), 0, 512, page * 4_096);
    closeSync(handle);
    expect(await quickCheck(file, 5_000)).to.equal(undefined);
    expect(await quickCheck(damaged, 5_000))
      .to.be.a("string")
      .and.not.equal("late");
  });

  it("tells jobs that wait for a worker, and what a reindex that was killed has left", async () => {
    const parley = await start(place, ["api"]);
    const { application } = await parley.clients.createApplication({ application: { name: "y" } });
    await parley.clients.createChat({ applicationToken: application!.token });
    await parley.system.stack.index.rebuild();
    await parley.stop();
    const again = await start(place, []);
    const found = await examine(again);
    expectFinding(found, { rank: "note", part: "data folder", what: /reindex was killed/ });
    expect(found.some((one) => /^1 jobs wait/.test(one.what))).to.equal(true);
    await again.stop();
  });
});
