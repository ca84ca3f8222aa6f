import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import { status } from "../../scripts/services/servers.ts";
import { Database } from "../../src/stacks/sql/database.ts";
import { closeOrm, openMysqlOrm } from "../../src/stacks/sql/orm.ts";
import { freshServers } from "../support/servers.ts";
import { type Running, useSystem } from "../support/system.ts";

// Run by `npm run test:cluster` alone, which starts the clusters and says where they are.

const TIMES = 200;

describe("What one node of a cluster was told", function () {
  this.timeout(60_000);

  it("is read at every other node of the database from then on", async () => {
    const servers = await freshServers();
    const nodes = (await status()).filter(({ name }) => name.startsWith("mariadb"));
    const orms = await Promise.all(
      nodes.map(({ port }) => {
        const url = Object.assign(new URL(servers.mysqlUrl), { port }).href;
        return openMysqlOrm({ url, poolMax: 2 });
      }),
    );
    const [first, ...others] = orms.map((orm) => new Database(orm));
    const read = (database: Database) => (em: Parameters<Parameters<Database["read"]>[0]>[0]) =>
      database.rows<{ value: number }>(em, "SELECT value FROM told WHERE id = 1");
    const stale: number[] = [];
    try {
      await first!.transaction(async (em) => {
        await first!.run(em, "CREATE TABLE told (id INT PRIMARY KEY, value INT)");
        await first!.run(em, "INSERT INTO told VALUES (1, 0)");
      });
      for (let value = 1; value <= TIMES; value++) {
        await first!.transaction((em) => first!.run(em, "UPDATE told SET value = ?", [value]));
        for (const one of others) {
          const outside = await one.read(read(one));
          const [row] = value % 2 === 0 ? outside : await one.transaction(read(one));
          if (row!.value !== value || outside[0]!.value !== value) stale.push(value);
        }
      }
      expect(stale).to.deep.equal([]);
    } finally {
      await Promise.all(orms.map(closeOrm));
      await servers.drop();
    }
  });

  describe("when a message was said to be searchable", () => {
    const parley: Running = useSystem("production");

    it("is found by every search after that, whichever copy is asked", async () => {
      const { clients } = parley;
      const { application } = await clients.createApplication({ application: { name: "copies" } });
      const applicationToken = application!.token;
      await clients.createChat({ applicationToken });
      const chat = { applicationToken, chatNumber: 1 };
      for (let number = 1; number <= 6; number++) {
        const message = { body: `word ${number}` };
        await clients.createMessage({ ...chat, message, waitFor: State.STATE_SEARCHABLE });
        for (let looks = 0; looks < 4; looks++) {
          const { results } = await clients.searchMessages({ ...chat, query: "word" });
          expect(results).to.have.length(number);
        }
      }
    });
  });
});
