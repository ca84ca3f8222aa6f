import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { createConnection } from "mysql2/promise";
import { spawnCommand } from "../support/command.ts";
import { productionMissing } from "../support/servers.ts";
import { freshPlace, type Place, start } from "../support/system.ts";

const CHATS = 8_000;

const suite = productionMissing === undefined ? describe : describe.skip;
suite("a scheduler that is told to stop", () => {
  let place: Place;

  before(async () => {
    place = await freshPlace("production");
  });
  after(async () => {
    await place?.drop();
  });

  it("does not wait for a chore that has much to do", async function () {
    this.timeout(120_000);
    const parley = await start(place, ["api"]);
    await parley.clients.createApplication({ application: { name: "x" } });
    const database = await createConnection(place.env.PARLEY_MYSQL_URL!);
    const rows = Array.from({ length: CHATS }, (_, at) => [1, at + 1]);
    await database.query("INSERT INTO chats (application_id, number, create_time) VALUES ?", [
      rows.map((row) => [...row, new Date()]),
    ]);
    const columns = "application_id, chat_number, ceiling, floor, last_void, epoch";
    await database.query(`INSERT INTO ceilings (${columns}) VALUES ?`, [
      rows.map((row) => [...row, 64, 0, 0, 1]),
    ]);
    await parley.system.core.numbering.epochs.renew();
    await parley.stop();
    const child = spawnCommand({ ...place.env, PARLEY_REPAIR_CRON: "* * * * * *" }, "scheduler");
    const seeded = async () => {
      const [found] = await database.query(
        "SELECT COUNT(*) AS count FROM ceilings WHERE epoch > 1",
      );
      return (found as [{ count: number }])[0].count;
    };
    while ((await seeded()) < 100) await sleep(50);
    const startMs = performance.now();
    child.kill("SIGTERM");
    const [code] = await once(child, "exit");
    await database.end();
    expect(code).to.equal(0);
    expect(performance.now() - startMs).to.be.below(10_000);
  });
});
