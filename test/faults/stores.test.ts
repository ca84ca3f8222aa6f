import { setTimeout as sleep } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import { start as startServer, stop as stopServer } from "../../scripts/services/servers.ts";
import { toConfig } from "../../src/config.ts";
import type { Stack } from "../../src/core/ports.ts";
import { openStack } from "../../src/stacks/open.ts";
import { type Audit, audit, CLEAN } from "../support/audit.ts";
import { type Deployment, deploy } from "../support/deployment.ts";
import { Load } from "../support/load.ts";
import { OwnMariadb } from "../support/own-mariadb.ts";
import { randomFrom, seed } from "../support/random.ts";
import { elasticOf, type OwnServers, productionMissing } from "../support/servers.ts";
import { type Clients, openClients, refusalOf, testLog } from "../support/system.ts";
import { whole } from "./whole.ts";

const production = productionMissing === undefined ? describe : describe.skip;
const awayMs = whole ? 60_000 : 3_000;

/** What is found in an index that is away, as a new one is for a moment. */
const NOTHING = { count: 0 };

production("stores that are away under load", function () {
  this.timeout(whole ? 300_000 : 90_000);
  let parley: Deployment;
  let load: Load;
  let clients: Clients;

  async function begin(settings: Record<string, string> = {}, own: OwnServers = {}): Promise<void> {
    parley = await deploy({ apis: 1, workers: 1, schedulers: 1 }, settings, own);
    const { target } = parley.apis[0]!;
    clients = openClients(target);
    load = new Load([target], randomFrom(seed));
    await load.start(8);
  }
  afterEach(async () => {
    clients?.close();
    load?.close();
    await parley?.stop();
  });

  async function result(): Promise<Audit> {
    await load.stop();
    const { applicationToken, answers, missing } = load;
    const { target } = parley.apis[0]!;
    const given = { target, applicationToken, answers, missing };
    // What came in a minute is more to catch up with than what came in seconds.
    return audit(parley.place, given, whole ? 180_000 : 30_000);
  }

  const key = () => ({ applicationToken: load.applicationToken, chatNumber: 1 });

  it("go on creating while the database is stopped, and store all of it after that", async () => {
    const mariadb = await OwnMariadb.start();
    await begin({}, { mysqlUrl: mariadb.url });
    await load.answered(300);
    await mariadb.kill();
    try {
      const before = load.answers.length;
      await sleep(awayMs);
      // The ceilings that were granted last for a while; beyond them creates are refused.
      expect(load.answers.length).to.be.above(before);
      for (const { code, reason } of load.failures) {
        expect(code).to.equal(status.UNAVAILABLE);
        expect(reason).to.equal("STORE_UNAVAILABLE");
      }
      const refusal = await refusalOf(clients.listMessages(key()));
      expect(refusal).to.include({ code: status.UNAVAILABLE, reason: "STORE_UNAVAILABLE" });
      expect(refusal.retryMs).to.be.above(0);
      await mariadb.start();
      await load.answered(300);
      expect(await result()).to.deep.include({ ...CLEAN, void: 0 });
    } finally {
      await mariadb.stop();
    }
  });

  it("refuse search alone while the index is away, and fill it without help", async () => {
    await begin();
    await load.answered(300);
    // In the short form a wire is cut: other tests use the same server at the same time.
    if (whole) await stopServer("elasticsearch", { signal: "SIGKILL" });
    else await parley.wires.elasticsearch.close();
    try {
      await sleep(awayMs);
      const refusal = await refusalOf(clients.searchMessages({ ...key(), query: "word" }));
      expect(refusal).to.include({ code: status.UNAVAILABLE, reason: "SEARCH_UNAVAILABLE" });
      expect(refusal.retryMs).to.be.above(0);
      await clients.listMessages(key());
      expect(load.failures).to.deep.equal([]);
    } finally {
      if (whole) await startServer("elasticsearch");
      else await parley.wires.elasticsearch.open();
    }
    await load.answered(300);
    expect(await result()).to.deep.include({ ...CLEAN, void: 0 });
  });

  it("fill an index that was deleted, without help", async () => {
    await begin();
    await load.answered(300);
    await load.stop();
    await searchable();
    const { url, alias: index } = elasticOf(parley.place.env);
    const gone = await fetch(`${url}/${index}-*?expand_wildcards=all`, { method: "DELETE" });
    expect(gone.status).to.equal(200);
    load.resume(8);
    await load.answered(100);
    await load.stop();
    await searchable();
    expect(await result()).to.deep.include({ ...CLEAN, void: 0 });
  });

  it("refuse creates at the bound of the backlog, with no number used", async () => {
    await begin({ PARLEY_BACKLOG_MAX: "500" });
    await load.answered(100);
    await parley.workers[0]!.kill();
    await load.refused(30);
    const stack = await openStack(toConfig(parley.place.env), {
      log: testLog,
      processId: "look",
      lenient: false,
    });
    try {
      const counts = () => stack.intake.counts([key()]);
      const before = await counts();
      const { jobs } = await stack.intake.backlog();
      expect(jobs).to.be.at.most(500);
      const refusal = await refusalOf(clients.createMessage({ ...key(), message: { body: "x" } }));
      expect(refusal).to.include({ code: status.RESOURCE_EXHAUSTED, reason: "BACKLOG_FULL" });
      expect(refusal.retryMs).to.be.above(0);
      expect(await counts()).to.deep.equal(before);
    } finally {
      await stack.stop();
    }
    for (const { code } of load.failures) expect(code).to.equal(status.RESOURCE_EXHAUSTED);
    await parley.workers[0]!.start();
    await load.answered(100);
    expect(await result()).to.deep.include({ ...CLEAN, void: 0 });
  });

  /** Returns when every message of every chat can be found. */
  async function searchable(): Promise<void> {
    const stack: Stack = await openStack(toConfig(parley.place.env), {
      log: testLog,
      processId: "look",
      lenient: false,
    });
    try {
      const chats = load.answers.filter((one) => one.number === 0).map((one) => one.chatNumber);
      for (const chatNumber of chats) {
        const own = { ...key(), chatNumber };
        const [count = 0] = await stack.intake.counts([own]);
        const found = async () => (await stack.index.extent(own).catch(() => NOTHING)).count;
        while ((await found()) < count) await sleep(50);
      }
    } finally {
      await stack.stop();
    }
  }
});
