import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { expect } from "chai";
import { Redis } from "ioredis";
import { type Connection, createConnection } from "mysql2/promise";
import { spawnCommand } from "../support/command.ts";
import { productionMissing } from "../support/servers.ts";
import { freshPlace, type Place, type Running, start } from "../support/system.ts";

const COUNTERS = 20_000;
const YEARLY = "0 0 1 1 *";

const suite = productionMissing === undefined ? describe : describe.skip;
suite("schedulers that are killed", () => {
  let place: Place;
  let parley: Running;
  let database: Connection;
  let redis: Redis;
  let applicationToken: string;
  let children: ChildProcess[];

  before(async () => {
    children = [];
    place = await freshPlace("production");
    parley = await start(place, ["api"]);
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    applicationToken = application!.token;
    database = await createConnection(place.env.PARLEY_MYSQL_URL!);
    redis = new Redis(place.env.PARLEY_REDIS_URL!);
    await fill();
  });
  after(async () => {
    for (const child of children ?? []) child.kill("SIGKILL");
    redis?.disconnect();
    await database?.end();
    await parley?.stop();
    await place?.drop();
  });

  /** Chats with counters that are as if `number` messages each had been accepted and stored. */
  async function fill(): Promise<void> {
    const [rows] = await database.query("SELECT id FROM applications");
    const [{ id }] = rows as [{ id: number }];
    const numbers = Array.from({ length: COUNTERS }, (_, at) => at + 1);
    const chats = numbers.map((number) => [id, number, new Date()]);
    await database.query("INSERT INTO chats (application_id, number, create_time) VALUES ?", [
      chats,
    ]);
    const keys = numbers.map((number) => `APP-${applicationToken}-${number}`);
    await redis.mset(keys.flatMap((key, at) => [key, at + 1]));
    await redis.hset(
      "parley:dirty",
      keys.flatMap((key) => [key, "1:1"]),
    );
    // Every tenth has voids.
    const voids = numbers.filter((one) => one % 10 === 0).map((one) => [id, one, 1, one / 10]);
    await database.query(
      "INSERT INTO voids (application_id, chat_number, first_number, last_number) VALUES ?",
      [voids],
    );
  }

  const spawnScheduler = (syncCron: string) => {
    const child = spawnCommand(
      { ...place.env, PARLEY_SYNC_CRON: syncCron, PARLEY_REPAIR_CRON: YEARLY },
      "scheduler",
    );
    children.push(child);
    return child;
  };

  const seen = new Map<number, number>();
  /** How many counts are copied; fails where one went back. */
  async function copied(): Promise<number> {
    const [rows] = await database.query("SELECT number, messages_count AS count FROM chats");
    let done = 0;
    for (const { number, count } of rows as { number: number; count: number }[]) {
      expect(count, `chat ${number}`).to.be.at.least(seen.get(number) ?? 0);
      seen.set(number, count);
      if (count > 0) done++;
    }
    return done;
  }

  async function until(enough: (done: number) => boolean): Promise<number> {
    const endMs = Date.now() + 20_000;
    for (;;) {
      const done = await copied();
      if (enough(done)) return done;
      if (Date.now() > endMs) expect.fail(`${done} counts are copied`);
    }
  }

  it("in mid-sync leave its rest to others, and no count moves back", async function () {
    this.timeout(60_000);
    const first = spawnScheduler("* * * * * *");
    const at = await until((done) => done > 0);
    first.kill("SIGKILL");
    await once(first, "exit");
    expect(at).to.be.below(COUNTERS);
    const second = spawnScheduler("* * * * * *");
    await until((done) => done === COUNTERS);
    for (const [number, count] of seen) {
      expect(count).to.equal(number - (number % 10 === 0 ? number / 10 : 0));
    }
    second.kill("SIGTERM");
    await once(second, "exit");
  });

  it("miss a tick that the next one makes up for at its start", async function () {
    this.timeout(60_000);
    await redis.incr(`APP-${applicationToken}-1`);
    await redis.hset("parley:dirty", `APP-${applicationToken}-1`, "1:2");
    await database.query(
      "UPDATE chore_runs SET began_time = '2020-01-01' WHERE name = 'sync-counts'",
    );
    spawnScheduler(YEARLY);
    await until(() => seen.get(1) === 2);
  });
});
