import { randomUUID } from "node:crypto";
import { Client } from "@elastic/elasticsearch";
import { createPool } from "mysql2/promise";
import { foldText, pieces } from "../../src/core/fold.ts";

// The floor of a worker: the rows and documents of so many messages, by multi-row inserts and bulk
// requests on the bare clients. No queue, no ORM, no looks at what is there.

const BATCH = 500;
const LANES = 3;

/** What its parent tells it to write. */
export interface Rows {
  mysqlUrl: string;
  elasticsearchUrl: string;
  index: string;
  applicationId: number;
  /** So many from this one on. */
  firstChat: number;
  chats: number;
  count: number;
  body: string;
}

process.once("message", (rows: Rows) => {
  write(rows).then(
    (ms) => process.send!({ ms }),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit());
process.send!({});

async function write({ mysqlUrl, elasticsearchUrl, ...rows }: Rows): Promise<number> {
  const { index, applicationId, firstChat, chats, count, body } = rows;
  const pool = createPool({ uri: mysqlUrl, connectionLimit: LANES });
  const client = new Client({ node: elasticsearchUrl });
  const beganMs = performance.now();
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const from = next;
      next = Math.min(count, next + BATCH);
      const values: unknown[] = [];
      const operations: string[] = [];
      for (let at = from; at < next; at++) {
        const chat = firstChat + (at % chats);
        const number = 1 + Math.floor(at / chats);
        const unset = [null, null];
        values.push(applicationId, chat, number, body, "ada", new Date(), randomUUID(), ...unset);
        const routing = `bare-${applicationId}:${chat}`;
        operations.push(
          JSON.stringify({ index: { _id: `${routing}:${number}`, routing } }),
          JSON.stringify({ chat: routing, number, pieces: pieces(foldText(body)) }),
        );
      }
      const marks = new Array(next - from).fill("(?, ?, ?, ?, ?, ?, ?, ?, ?)").join(", ");
      await pool.query(
        "INSERT INTO messages (application_id, chat_number, number, body, author, create_time, " +
          `request_id, attributes, original_time) VALUES ${marks}`,
        values,
      );
      const answer = await client.bulk({ index, operations, filter_path: "errors" });
      if (answer.errors) throw new Error("documents were refused");
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const ms = performance.now() - beganMs;
  await Promise.all([pool.end(), client.close()]);
  return ms;
}
