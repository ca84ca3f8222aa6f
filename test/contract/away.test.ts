import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { expect } from "chai";
import { Database } from "../../src/stacks/sql/database.ts";
import { SqlDeletions } from "../../src/stacks/sql/deletions.ts";
import { SqlLedger } from "../../src/stacks/sql/ledger.ts";
import { migrate } from "../../src/stacks/sql/migrate.ts";
import { closeOrm, openMysqlOrm, openSqliteOrm } from "../../src/stacks/sql/orm.ts";
import { SqlStore } from "../../src/stacks/sql/store.ts";
import { SqlUpkeep } from "../../src/stacks/sql/upkeep.ts";
import {
  type FreshServers,
  freshDataDir,
  freshServers,
  productionMissing,
} from "../support/servers.ts";
import { ALL, kinds, messageJob, newApplication, numbersFrom } from "./jobs.ts";
import { everyStep, type Steps, token } from "./steps.ts";

/** Fails unless every step says within `withinMs` that the database is away. */
async function expectAway(parts: Steps, withinMs: number): Promise<void> {
  const startMs = Date.now();
  const steps = Object.entries(everyStep(parts)).map(async ([name, step]) => {
    const error = await step().then(
      () => undefined,
      (reason) => reason,
    );
    expect(error?.reason, name).to.equal("STORE_UNAVAILABLE");
    expect(error.cause, name).to.be.instanceOf(Error);
  });
  await Promise.all(steps);
  expect(Date.now() - startMs).to.be.lessThan(withinMs);
}

/** A way to a server that can be cut, or go mute with its connections open. */
async function openProxy(target: URL) {
  const sockets = new Set<Socket>();
  let mute = false;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const [socket, peer] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on("data", (data) => mute || peer.write(data));
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        peer.destroy();
      });
    }
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = new URL(target);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: url.href,
    cut,
    mute: (on: boolean) => {
      mute = on;
    },
    close: () => {
      cut();
      server.close();
    },
  };
}

const TIMEOUTS = { connectMs: 300, silenceMs: 400, stepMs: 1_000 };

async function open(url: string, poolMax = 4) {
  const orm = await openMysqlOrm({ url, poolMax, timeouts: TIMEOUTS });
  const parts = {
    store: new SqlStore({ orm, processId: "one" }),
    ledger: new SqlLedger({ orm }),
    upkeep: new SqlUpkeep({ orm }),
    deletions: new SqlDeletions({ orm }),
  };
  return { ...parts, orm, close: () => closeOrm(orm) };
}

describe("a database that is away", () => {
  it("is said to be unavailable where nothing listens", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    const parts = await open(`mysql://parley:secret@127.0.0.1:${port}/parley`);
    await expectAway(parts, 1_500);
    await parts.close().then(() => expectAway(parts, 100));
  });

  it("is said to be unavailable where a port listens and says nothing", async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const parts = await open(`mysql://parley:secret@127.0.0.1:${port}/parley`);
    await expectAway(parts, 2_500);
    await parts.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  it("lets a process end that opened it and never asked", async () => {
    const timers = () => process.getActiveResourcesInfo().filter((one) => one === "Timeout").length;
    // Mocha's own timer runs from the next turn on.
    await new Promise(setImmediate);
    const before = timers();
    await closeOrm(await openMysqlOrm({ url: "mysql://127.0.0.1:1/parley", poolMax: 1 }));
    expect(timers()).to.equal(before);
  });

  const production = productionMissing === undefined ? describe : describe.skip;
  production("MySQL", () => {
    let servers: FreshServers;
    let proxy: Awaited<ReturnType<typeof openProxy>>;
    let parts: Awaited<ReturnType<typeof open>>;
    let jobs: ReturnType<typeof messageJob>[];

    before(async () => {
      servers = await freshServers();
      const orm = await openMysqlOrm({ url: servers.mysqlUrl, poolMax: 4 });
      await migrate(orm);
      await closeOrm(orm);
      proxy = await openProxy(new URL(servers.mysqlUrl));
      parts = await open(proxy.url);
    });
    beforeEach(async () => {
      const { application } = await parts.store.insertApplication(newApplication());
      const own = { applicationToken: application.token, chatNumber: 1 };
      jobs = numbersFrom(1, 500).map((number) => messageJob(own, number));
    });
    after(async () => {
      await parts?.close();
      proxy?.close();
      await servers?.drop();
    });

    it("that goes mute with its connections open is given up, and taken up again", async () => {
      await Promise.all([1, 2, 3, 4].map(() => parts.store.insertJobs(jobs)));
      proxy.mute(true);
      await expectAway(parts, 2_500);
      proxy.mute(false);
      expect(new Set(kinds(await parts.store.insertJobs(jobs)))).to.deep.equal(
        new Set(["present"]),
      );
    });

    it("that cuts its connections loses no job that is tried again", async () => {
      const { applicationToken } = jobs[0]!;
      let cuts = 0;
      const cutting = setInterval(() => {
        proxy.cut();
        cuts++;
      }, 9);
      let away = 0;
      const insert = async (from: number): Promise<void> => {
        const batch = jobs.slice(from, from + 50);
        for (;;) {
          try {
            expect(kinds(await parts.store.insertJobs(batch))).to.not.include("failed");
            return;
          } catch (error) {
            expect((error as { reason?: string }).reason).to.equal("STORE_UNAVAILABLE");
            if (++away === 30) clearInterval(cutting);
          }
        }
      };
      await Promise.all(numbersFrom(0, 9).map((lane) => insert(lane * 50)));
      clearInterval(cutting);
      expect(cuts).to.be.greaterThan(0);
      const rows = await parts.store.listMessages({ applicationToken, chatNumber: 1 }, ALL);
      expect(rows.map((row) => row.number)).to.deep.equal(numbersFrom(1, 500));
    });

    it("that lacks its tables parks no job", async () => {
      const url = new URL(servers.mysqlUrl);
      url.pathname = "/information_schema";
      const empty = await open(url.href);
      await expectAway(empty, 1_000);
      await empty.close();
    });
  });

  it("that has rolled back by itself, as SQLite can, is not left locked", async () => {
    const { dataDir, drop } = freshDataDir();
    const orm = await openSqliteOrm({ file: join(dataDir, "store.db") });
    await migrate(orm);
    const database = new Database(orm);
    const work = database.transaction(async (em) => {
      await database.run(em, "ROLLBACK");
      throw new TypeError("after it");
    });
    expect((await work.catch((error) => error)).message).to.equal("after it");
    expect(await new SqlStore({ orm, processId: "one" }).findApplication(token)).to.equal(
      undefined,
    );
    await closeOrm(orm);
    await drop();
  });

  it("that is a full disk says so, and works again when there is room", async () => {
    const { dataDir, drop } = freshDataDir();
    const orm = await openSqliteOrm({ file: join(dataDir, "store.db") });
    await migrate(orm);
    const store = new SqlStore({ orm, processId: "one" });
    const database = new Database(orm);
    const { application } = await store.insertApplication(newApplication());
    const own = { applicationToken: application.token, chatNumber: 1 };
    const body = "x".repeat(10_000);
    const batches = numbersFrom(0, 9).map((batch) =>
      numbersFrom(batch * 20 + 1, batch * 20 + 20).map((number) =>
        messageJob(own, number, { body }),
      ),
    );
    const pages = (max: number) =>
      database.read((em) => database.rows(em, `PRAGMA max_page_count = ${max}`));
    await pages(200);
    const errors = await Promise.all(
      batches.map((jobs) =>
        store.insertJobs(jobs).then(
          () => undefined,
          (error) => error,
        ),
      ),
    );
    const full = errors.filter((error) => error !== undefined);
    expect(full.length).to.be.greaterThan(0);
    for (const error of full) expect(error.reason).to.equal("STORE_UNAVAILABLE");
    await pages(1_000_000);
    for (const jobs of batches)
      expect(kinds(await store.insertJobs(jobs))).to.not.include("failed");
    expect(await store.listMessages(own, ALL)).to.have.length(200);
    await closeOrm(orm);
    await drop();
  });
});
