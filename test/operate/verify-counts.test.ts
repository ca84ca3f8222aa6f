import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect } from "chai";
import { Redis } from "ioredis";
import { createConnection } from "mysql2/promise";
import { State } from "../../clients/typescript/src/contract.ts";
import { epochNewOperation } from "../../src/operate/epoch.ts";
import { verifyCountsOperation } from "../../src/operate/verify-counts.ts";
import { syncCounts } from "../../src/worker/chores.ts";
import { runCommand, runHere } from "../support/command.ts";
import { describeStacks, freshPlace, type Place, type Running, start } from "../support/system.ts";

describeStacks("verify-counts", (stack) => {
  let place: Place;
  let parley: Running | undefined;
  let key: { applicationToken: string; chatNumber: number };

  beforeEach(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    const applicationToken = application!.token;
    key = { applicationToken, chatNumber: 1 };
    const waitFor = State.STATE_PERSISTED;
    for (const _ of [1, 2]) await parley.clients.createChat({ applicationToken, waitFor });
    for (const _ of [1, 2, 3]) await say();
    await syncCounts(parley.system.stack, () => new Date());
  });
  afterEach(async () => {
    await parley?.stop();
    await place?.drop();
  });

  const say = async (waitFor: State = State.STATE_PERSISTED) => {
    const { clients } = parley!;
    const { message } = await clients.createMessage({ ...key, message: { body: "x" }, waitFor });
    return message!.number;
  };

  async function verify({ mend = false } = {}) {
    const typed = { mend, json: true };
    const ran = await runHere(verifyCountsOperation, typed, parley ?? place.env);
    const drifts = ran.lines.slice(0, -1).map((line) => JSON.parse(line));
    return { code: ran.code, drifts, sum: JSON.parse(ran.lines.at(-1)!).summary };
  }

  const fine = { code: 0, drifts: [], sum: { counters: 3, drift: 0, mended: 0 } };

  /** Changes what holds the counters, behind the back of Parley, which is stopped for it. */
  async function hurtCounter(change: { value: number } | "gone"): Promise<void> {
    await parley!.stop();
    parley = undefined;
    const name = `APP-${key.applicationToken}-1`;
    if (stack === "production") {
      const redis = new Redis(place.env.PARLEY_REDIS_URL!);
      await (change === "gone" ? redis.del(name) : redis.set(name, change.value));
      redis.disconnect();
      return;
    }
    const db = new DatabaseSync(join(place.env.PARLEY_DATA_DIR!, "intake.db"));
    if (change === "gone") db.prepare("DELETE FROM counters WHERE key = ?").run(name);
    else db.prepare("UPDATE counters SET value = ? WHERE key = ?").run(change.value, name);
    db.close();
  }

  async function deleteRow(number: number): Promise<void> {
    await parley!.stop();
    parley = undefined;
    const sql = `DELETE FROM messages WHERE chat_number = 1 AND number = ${number}`;
    if (stack === "production") {
      const connection = await createConnection(place.env.PARLEY_MYSQL_URL!);
      await connection.query(sql);
      await connection.end();
      return;
    }
    const db = new DatabaseSync(join(place.env.PARLEY_DATA_DIR!, "store.db"));
    db.exec(sql);
    db.close();
  }

  it("finds nothing where counts wait for their sync, or rows for their job", async () => {
    expect(await verify()).to.deep.equal(fine);
    await say();
    expect(await verify()).to.deep.equal(fine);
    await parley!.stop();
    parley = await start(place, ["api"]);
    await say(State.STATE_ACCEPTED);
    await parley.clients.createChat({ applicationToken: key.applicationToken });
    expect(await verify()).to.deep.equal(fine);
    const told = await runCommand(place.env, "verify-counts");
    expect(told).to.include({ code: 0, stdout: "3 counters compared: 0 drift\n" });
  });

  it("reports a stored count that is wrong, and mends it in both directions", async () => {
    const { upkeep } = parley!.system.stack;
    expect(await upkeep.mendCount({ counter: key, from: 3, to: 9 })).to.equal(true);
    expect(await upkeep.mendCount({ counter: key, from: 3, to: 1 })).to.equal(false);
    const { applicationToken } = key;
    expect(await upkeep.mendCount({ counter: { applicationToken }, from: 2, to: 1 })).to.equal(
      true,
    );
    const wrong = { kind: "count", application_token: applicationToken, voids: 0, mended: false };
    const found = await verify();
    expect(found).to.deep.include({ code: 1, sum: { counters: 3, drift: 2, mended: 0 } });
    const [ofChats, ofMessages] = found.drifts;
    expect(ofChats).to.include({ ...wrong, chat_number: null, counter: 2, stored: 1, expected: 2 });
    const third = { chat_number: 1, counter: 3, highest_row: 3, stored: 9, expected: 3 };
    expect(ofMessages).to.include({ ...wrong, ...third });
    expect(await runCommand(place.env, "verify-counts")).to.include({ code: 1 });
    const mended = await runCommand(place.env, "verify-counts", "--mend");
    expect(mended.code).to.equal(0);
    expect(mended.stdout).to.match(/stored 9, expected 3: mended\n3 .*: 2 drift, 2 mended\n$/);
    expect(await verify()).to.deep.equal(fine);
  });

  it("never sets a counter that is behind its rows, and says what to do", async () => {
    await hurtCounter({ value: 1 });
    const found = await verify({ mend: true });
    expect(found).to.deep.include({ code: 1, sum: { counters: 3, drift: 1, mended: 0 } });
    expect(found.drifts[0]).to.include({ kind: "behind", counter: 1, highest_row: 3, stored: 3 });
    expect(found.drifts[0].advice).to.include("epoch new");
    expect((await verify()).drifts[0]).to.include({ kind: "behind", counter: 1 });

    expect(await runHere(epochNewOperation, { yes: true }, place.env)).to.include({ code: 0 });
    parley = await start(place);
    expect(await say()).to.equal(65);
    expect(await verify()).to.deep.equal(fine);
  });

  it("seeds a counter that is missing, above all that it ever gave", async () => {
    await hurtCounter("gone");
    expect((await verify()).drifts).to.have.length(1);
    expect((await verify()).drifts[0]).to.include({ kind: "missing", counter: null, stored: 3 });
    const mended = await verify({ mend: true });
    expect(mended).to.deep.include({ code: 0, sum: { counters: 3, drift: 1, mended: 1 } });
    expect(await verify()).to.deep.equal(fine);
    parley = await start(place);
    expect(await say()).to.equal(65);
  });

  it("reports numbers that are neither row nor job nor void", async () => {
    await deleteRow(3);
    const found = await verify({ mend: true });
    expect(found).to.deep.include({ code: 1, sum: { counters: 3, drift: 1, mended: 0 } });
    expect(found.drifts[0]).to.include({ kind: "rows", counter: 3, highest_row: 2 });
  });
});
