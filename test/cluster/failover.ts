import { expect } from "chai";
import { Redis } from "ioredis";
import { createConnection } from "mysql2/promise";
import { State } from "../../clients/typescript/src/contract.ts";
import {
  start as startServer,
  status,
  stop as stopServer,
} from "../../scripts/services/servers.ts";
import { type Audit, audit, CLEAN } from "../support/audit.ts";
import { type Deployment, deploy } from "../support/deployment.ts";
import { Load } from "../support/load.ts";
import { randomFrom, seed } from "../support/random.ts";
import { elasticOf } from "../support/servers.ts";
import { openClients } from "../support/system.ts";

// Run by `npm run test:cluster` alone, which starts the clusters and says where they are.

const SIGKILL = { signal: "SIGKILL" } as const;

describe("Parley on clusters, under load", function () {
  // Each wait has a bound of its own, and says what it waited for.
  this.timeout(300_000);
  let parley: Deployment;
  let load: Load;

  beforeEach(async () => {
    parley = await deploy({ apis: 2, workers: 2, schedulers: 1 });
    const targets = parley.apis.map((api) => api.target);
    load = new Load(targets, randomFrom(seed));
    await load.start(16);
  });
  afterEach(async function () {
    load?.close();
    if (parley !== undefined && this.currentTest?.state === "failed") {
      const all = [...parley.apis, ...parley.workers, ...parley.schedulers];
      for (const { part, warnings } of all)
        console.log(`${part}: ${warnings.slice(-10).join("\n")}`);
    }
    // A test that failed may have left them killed.
    await Promise.all((await status()).map(({ name }) => startServer(name)));
    await parley?.stop();
  });

  /** By the wires, since the first node of each may be another one than before. */
  async function result(missing: ReadonlySet<number> = load.missing): Promise<Audit> {
    await load.stop();
    const { applicationToken, answers } = load;
    const { target } = parley.apis[0]!;
    const place = { ...parley.place, env: parley.env };
    return audit(place, { target, applicationToken, answers, missing }, 60_000);
  }

  /** The database of this test at a node. */
  async function urlAt(name: string): Promise<string> {
    const url = new URL(parley.place.env.PARLEY_MYSQL_URL!);
    url.port = String((await status()).find((one) => one.name === name)!.port);
    return url.href;
  }

  /** As a proxy does it that finds a node dead: everybody is led to another one. */
  async function leadTo(name: string): Promise<void> {
    parley.wires.mysql.lead(await urlAt(name));
  }

  /** The name of the node that has the first shard's primary. */
  async function findPrimary(): Promise<string> {
    const { url, alias } = elasticOf(parley.place.env);
    const answer = await fetch(`${url}/_cat/shards/${alias}?format=json`);
    const shards = (await answer.json()) as { prirep: string; node: string }[];
    const { node } = shards.find(({ prirep }) => prirep === "p")!;
    return node.replace("parley", "elasticsearch");
  }

  /** Returns when a new message is a row and can be found. */
  async function storesAgain(): Promise<void> {
    const clients = openClients(parley.apis[0]!.target);
    const request = {
      applicationToken: load.applicationToken,
      chatNumber: 1,
      message: { body: "", author: "again" },
      waitFor: State.STATE_SEARCHABLE,
    };
    try {
      for (let tries = 0; ; tries++) {
        request.message.body = `again ${tries}`;
        const { message } = await clients.createMessage(request).catch(() => ({ message: null }));
        if (message?.state === State.STATE_SEARCHABLE) return;
        expect(tries).to.be.below(20);
      }
    } finally {
      clients.close();
    }
  }

  async function countAt(name: string): Promise<number> {
    const connection = await createConnection(await urlAt(name));
    await connection.query("SET SESSION wsrep_sync_wait = 1");
    const [rows] = await connection.query("SELECT COUNT(*) AS count FROM messages");
    await connection.end();
    return (rows as { count: number }[])[0]!.count;
  }

  /** Returns when the index has every copy: who is killed before may have the only one. */
  async function hasEveryCopy(): Promise<void> {
    const { url } = elasticOf(parley.place.env);
    const wish = "wait_for_nodes=3&wait_for_status=green&timeout=30s";
    const answer = await fetch(`${url}/_cluster/health?${wish}`);
    expect(await answer.json()).to.include({ status: "green", number_of_nodes: 3 });
  }

  it("lose nothing when a node of each is killed, and take both in again", async () => {
    await load.answered(500);
    await hasEveryCopy();
    const primary = await findPrimary();
    await stopServer(primary, SIGKILL);
    await load.answered(500);
    await stopServer("mariadb-1", SIGKILL);
    // How many are answered without a database hangs on how far the ceilings of the chats reach.
    await load.tried(100);
    await leadTo("mariadb-2");
    await storesAgain();
    await load.answered(500);
    await load.stop();
    await Promise.all([startServer(primary), startServer("mariadb-1")]);
    load.resume(16);
    await load.answered(500);
    // Back again in good order, with the node that it was led to still up.
    await leadTo("mariadb-1");
    await load.answered(500);
    const outageMs = Math.round(load.longestOutageMs);
    console.log(`      no call was answered for ${outageMs} ms at most`);
    expect(await result()).to.deep.include({ ...CLEAN, void: 0 });
    const { length } = load.answers.filter((one) => one.number > 0);
    for (const name of ["mariadb-1", "mariadb-2", "mariadb-3"]) {
      expect(await countAt(name), name).to.be.at.least(length);
    }
    await hasEveryCopy();
  });

  it("give no number twice where Redis is emptied while the database fails over", async () => {
    await load.answered(500);
    await stopServer("mariadb-1", SIGKILL);
    await leadTo("mariadb-3");
    const redis = new Redis(parley.place.env.PARLEY_REDIS_URL!);
    await redis.flushdb();
    redis.disconnect();
    await load.answered(500);
    const promised = { lost: 0, reissued: 0, unexplained: 0, unindexed: 0, parked: 0 };
    // What a worker still had of a chat when both were away is all that was left of it. Until that
    // was written the chat was said to be missing, as it is where there is one server of each.
    expect(await result(new Set())).to.deep.include(promised);
  });
});
