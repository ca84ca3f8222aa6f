import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { createConnection } from "mysql2/promise";
import { State } from "../gen/parley/v1/state.ts";
import { counterKeyOf } from "../src/stacks/counters.ts";
import { ParleyProcess, type Started } from "./processes.ts";

/** Rows of one statement, far below what a server takes in one packet. */
const STATEMENT_ROWS = 2_000;

/** A chat that is as long as a measurement wants it, and an API that serves it. */
export interface LongChat {
  applicationToken: string;
  chatNumber: number;
  target: string;
}

type LongPlace = Parameters<typeof ParleyProcess.start>[0];

/**
 * Makes a chat of so many messages. All but the last go into the rows at once, since they would
 * take minutes on their way; the counter is set to stand where they end. The last is created by a
 * call: it finds the counter without a ceiling, so the ledger grants one above what is there, and
 * gets the number that it must get where all of that is right.
 */
export async function makeLongChat(
  started: Started,
  place: LongPlace,
  { messages, bodyOf }: { messages: number; bodyOf: (number: number) => string },
): Promise<LongChat> {
  const worker = await ParleyProcess.start(place, "worker");
  const api = started.add(await ParleyProcess.start(place, "api"));
  const clients = started.clients(api.target);
  try {
    const { application } = await clients.createApplication({ application: { name: "bench" } });
    const applicationToken = application!.token;
    const { chat } = await clients.createChat({ applicationToken, waitFor: PERSISTED });
    const key = { applicationToken, chatNumber: chat!.number };
    await insertMessages(place, key, { last: messages - 1, bodyOf });
    const redis = new Redis(place.env.PARLEY_REDIS_URL!);
    await redis.set(counterKeyOf(key), messages - 1).finally(() => redis.disconnect());
    const said = { body: bodyOf(messages), author: "ada" };
    const last = { ...key, message: said, waitFor: PERSISTED };
    const { message } = await clients.createMessage(last, { timeoutMs: 60_000 });
    if (message!.number !== messages) throw new Error(`the last message is ${message!.number}`);
    return { ...key, target: api.target };
  } finally {
    await worker.stop();
  }
}

const PERSISTED = State.STATE_PERSISTED;

async function insertMessages(
  place: LongPlace,
  { applicationToken, chatNumber }: { applicationToken: string; chatNumber: number },
  { last, bodyOf }: { last: number; bodyOf: (number: number) => string },
): Promise<void> {
  const mysql = await createConnection(place.env.PARLEY_MYSQL_URL!);
  try {
    const [found] = await mysql.query("SELECT id FROM applications WHERE token = ?", [
      applicationToken,
    ]);
    const [{ id }] = found as [{ id: number }];
    const createTime = new Date();
    const rowOf = (number: number) => {
      const said = [bodyOf(number), "ada", createTime, randomUUID()];
      return [id, chatNumber, number, ...said];
    };
    await inPieces(last, STATEMENT_ROWS, async (numbers) => {
      await mysql.query(
        `INSERT INTO messages
          (application_id, chat_number, number, body, author, create_time, request_id) VALUES ?`,
        [numbers.map(rowOf)],
      );
    });
    await mysql.query("ANALYZE TABLE messages");
  } finally {
    await mysql.end();
  }
}

/** Hands the numbers from 1 to the last one over, some at a time. */
export async function inPieces(
  last: number,
  size: number,
  take: (numbers: number[]) => Promise<void>,
): Promise<void> {
  for (let from = 1; from <= last; from += size) {
    const length = Math.min(size, last - from + 1);
    await take(Array.from({ length }, (_, at) => from + at));
  }
}
