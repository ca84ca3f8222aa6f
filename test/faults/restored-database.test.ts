import { cpSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { createConnection } from "mysql2/promise";
import { State } from "../../clients/typescript/src/contract.ts";
import {
  describeStacks,
  freshPlace,
  type Place,
  type Running,
  refusalOf,
  start,
} from "../support/system.ts";

/** Copies of the database, taken and put back while the system is stopped. */
function copiesOf(place: Place): { take(): Promise<void>; putBack(): Promise<void> } {
  if (place.stack === "embedded") {
    const file = join(place.env.PARLEY_DATA_DIR!, "store.db");
    return {
      take: async () => cpSync(file, `${file}.copy`),
      putBack: async () => cpSync(`${file}.copy`, file),
    };
  }
  return {
    take: () =>
      eachTable(place, (table) => [`CREATE TABLE copy_${table} AS SELECT * FROM ${table}`]),
    putBack: () =>
      eachTable(place, (table) => [
        `DELETE FROM ${table}`,
        `INSERT INTO ${table} SELECT * FROM copy_${table}`,
        `DROP TABLE copy_${table}`,
      ]),
  };
}

async function eachTable(place: Place, sqlFor: (table: string) => string[]): Promise<void> {
  const connection = await createConnection(place.env.PARLEY_MYSQL_URL!);
  try {
    await connection.query("SET FOREIGN_KEY_CHECKS = 0");
    const [tables] = await connection.query("SHOW TABLES");
    for (const row of tables as Record<string, string>[]) {
      const [table] = Object.values(row);
      if (table!.startsWith("copy_")) continue;
      for (const sql of sqlFor(table!)) {
        await connection.query(sql);
      }
    }
  } finally {
    await connection.end();
  }
}

describeStacks("a database that was restored from an older copy", (stack) => {
  let place: Place;
  let parley: Running;

  beforeEach(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
  });
  afterEach(async () => {
    await parley?.stop();
    await place?.drop();
  });

  it("gives no number again, and what the copy lacks is void", async () => {
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    const applicationToken = application!.token;
    const waitFor = State.STATE_PERSISTED;
    const say = async (chatNumber: number, body: string) =>
      (
        await parley.clients.createMessage({
          applicationToken,
          chatNumber,
          message: { body },
          waitFor,
        })
      ).message!.number;
    await parley.clients.createChat({ applicationToken, waitFor });
    await say(1, "kept");
    await parley.stop();
    const copies = copiesOf(place);
    await copies.take();

    parley = await start(place);
    const lost: number[] = [];
    // More than the copy's ceiling allows, so that its ledger alone would give some again.
    for (let at = 0; at < 100; at++) lost.push(await say(1, "lost"));
    await parley.clients.createChat({ applicationToken, waitFor });
    await say(2, "lost with its chat");
    await parley.stop();
    await copies.putBack();

    parley = await start(place);
    // What an operator does after such a restore.
    await parley.system.core.numbering.epochs.renew();
    const after = await say(1, "after");
    expect(after).to.be.above(Math.max(...lost));
    const { messages, voids } = await parley.clients.listMessages({
      applicationToken,
      chatNumber: 1,
      pageSize: 1_000,
    });
    expect(messages.map((one) => one.body)).to.deep.equal(["kept", "after"]);
    expect(voids).to.deep.equal([{ firstNumber: 2, lastNumber: after - 1 }]);

    // The second chat is gone with its row: its key alone must not let messages into nothing.
    const key = { applicationToken, chatNumber: 2 };
    const refusal = await refusalOf(
      parley.clients.createMessage({ ...key, message: { body: "x" } }),
    );
    expect(refusal.reason).to.equal("CHAT_NOT_FOUND");
    const { chat } = await parley.clients.createChat({ applicationToken, waitFor });
    expect(chat!.number).to.be.above(2);
    const { chats } = await parley.clients.listChats({ applicationToken });
    expect(chats.map((one) => one.number)).to.deep.equal([1, chat!.number]);
  });
});
