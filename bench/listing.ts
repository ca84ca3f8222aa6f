import { createConnection } from "mysql2/promise";
import type { Message } from "../gen/parley/v1/message.ts";
import { SELECT_MESSAGES, valuesOf } from "../src/stacks/sql/messages.ts";
import { makeLongChat } from "./filling.ts";
import { alternate, atMost, type Bench, medianOf } from "./measurement.ts";
import { withStarted } from "./processes.ts";
import { sentencesFrom } from "./sentences.ts";

const PAGE = 50;
/** Calls of one side of a round, one after the other; their median counts. */
const CALLS = 200;

/** What SqlStore.listMessages sends for a page and one row more, which tells of a next page. */
const SELECT = `${SELECT_MESSAGES} AND m.number > ? ORDER BY m.number ASC LIMIT ${PAGE + 1}`;

/** A page at the end of a long chat, beside one at its beginning and beside its bare SQL. */
export const listing: Bench = {
  names: ["list-depth", "list-sql"],
  run: ({ rounds, roundMs, listed }) =>
    withStarted(async (started) => {
      const place = await started.place("production");
      const sentence = sentencesFrom(1);
      const chat = await makeLongChat(started, place, { messages: listed, bodyOf: sentence });
      const clients = started.clients(chat.target);
      const mysql = await createConnection(place.env.PARLEY_MYSQL_URL!);
      started.add({ stop: () => mysql.end() });
      const calls = Math.max(1, Math.round((CALLS * roundMs) / 3_000));
      const { applicationToken, chatNumber } = chat;

      const list = async (afterNumber: number) => {
        const request = { applicationToken, chatNumber, afterNumber, pageSize: PAGE };
        const { messages, voids } = await clients.listMessages(request);
        assertPage(messages, afterNumber);
        if (voids.length > 0) throw new Error("the page has voids");
      };
      const select = async (afterNumber: number) => {
        const [rows] = await mysql.query(SELECT, [...valuesOf(chat), afterNumber]);
        assertPage((rows as Message[]).slice(0, PAGE), afterNumber);
      };
      const timed = async (one: () => Promise<void>) => {
        const ms: number[] = [];
        for (let at = 0; at < calls; at++) {
          const beganMs = performance.now();
          await one();
          ms.push(performance.now() - beganMs);
        }
        return medianOf(ms);
      };

      const depth = await alternate(rounds, {
        ours: () => timed(() => list(listed - PAGE)),
        floor: () => timed(() => list(PAGE)),
      });
      const sql = await alternate(rounds, {
        ours: () => timed(() => list(listed - PAGE)),
        floor: () => timed(() => select(listed - PAGE)),
      });
      const of = (sides: { ours: number[]; floor: number[] }) => ({
        value: medianOf(sides.ours),
        floor: medianOf(sides.floor),
        unit: "ms p50",
      });
      return [
        atMost(1.2, { name: "list-depth", ...of(depth), note: `message ${listed} beside 100` }),
        atMost(1.5, { name: "list-sql", ...of(sql), note: `a page at message ${listed}` }),
      ];
    }),
};

/** A page that is not whole would be a shorter way than the one that is measured. */
function assertPage(messages: { number: number }[], after: number): void {
  const whole =
    messages.length === PAGE && messages.every((one, at) => one.number === after + 1 + at);
  if (!whole) throw new Error(`no whole page after message ${after}`);
}
