import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { createConnection } from "mysql2/promise";
import { JOBS } from "../src/stacks/redis/keys.ts";
import type { Place } from "../test/support/system.ts";
import { bytesOnDisk, watchCpu } from "./costs.ts";
import { LoadProcess } from "./load/load.ts";
import type { Bench } from "./measurement.ts";
import { makeChats, ParleyProcess, withStarted } from "./processes.ts";

const CHATS = 20;
const SLICE_MS = 1_000;
/** Jobs that may wait: about what is taken in a second. */
const BACKLOG_MAX = 4_000;
const WARM_UP_SLICES = 10;
/** What other whole stacks carried on such a machine is said in bench/README.md. */
const GOAL_PER_CORE = 2_000;

/**
 * The whole pipeline at the highest rate at which no backlog grows: a rate that follows the backlog
 * from second to second. What counts is what was both stored and indexed in the time.
 */
export const pipeline: Bench = {
  names: ["pipeline-rate"],
  run: ({ sustainMs }) =>
    withStarted(async (started) => {
      const place = await started.place("production");
      const api = started.add(await ParleyProcess.start(place, "api"));
      const worker = started.add(await ParleyProcess.start(place, "worker"));
      const load = started.add(new LoadProcess());
      const applicationToken = await makeChats(started.clients(api.target), CHATS);
      const redis = new Redis(place.env.PARLEY_REDIS_URL!);
      started.add({ stop: async () => redis.disconnect() });
      const backlog = () => redis.hlen(JOBS);

      let perSecond = 1_000 * cpus().length;
      let accepted = 0;
      let most = 0;
      const slice = async () => {
        const pace = { perSecond: Math.round(perSecond), ms: SLICE_MS };
        const order = { target: api.target, applicationToken, chats: CHATS, pace };
        accepted += (await load.run(order)).answered;
        const waiting = await backlog();
        most = Math.max(most, waiting);
        perSecond *= waiting > BACKLOG_MAX ? 0.9 : waiting > BACKLOG_MAX / 2 ? 0.98 : 1.04;
      };
      for (let at = 0; at < WARM_UP_SLICES; at++) await slice();
      most = 0;
      const cpu = await watchCpu({ load: load.pid, api: api.pid, worker: worker.pid });
      const before = accepted - (await backlog());
      const beganMs = performance.now();
      while (performance.now() - beganMs < sustainMs) await slice();
      const done = accepted - (await backlog()) - before;
      const seconds = (performance.now() - beganMs) / 1_000;
      const costs = Object.entries(cpu()).map(
        ([name, ms]) => `${name} ${Math.round((ms * 1_000) / done)}`,
      );
      while ((await backlog()) > 0) await sleep(SLICE_MS / 10);
      await insist(place, accepted);
      const bytes = await bytesOnDisk(place);

      const cores = cpus().length;
      const value = done / seconds / cores;
      return [
        {
          name: "pipeline-rate",
          value,
          unit: "msg/s/core",
          floor: undefined,
          ratio: undefined,
          goal: `>= ${GOAL_PER_CORE}`,
          ok: value >= GOAL_PER_CORE,
          note:
            `${Math.round(done / seconds)}/s stored and searchable over ${Math.round(seconds)} s ` +
            `on ${cores} cores; at most ${most} waited; CPU us a message: ${costs.join(", ")}; ` +
            `bytes on disk: row ${Math.round(bytes.rows / accepted)}, ` +
            `document ${Math.round(bytes.documents / accepted)}`,
        },
      ];
    }),
};

/** Every message that was accepted is a row and a document. */
async function insist({ env }: Place, accepted: number): Promise<void> {
  const connection = await createConnection(env.PARLEY_MYSQL_URL!);
  const [rows] = await connection.query("SELECT COUNT(*) AS n FROM messages");
  await connection.end();
  const index = `${env.PARLEY_ELASTICSEARCH_URL}/${env.PARLEY_ELASTICSEARCH_INDEX}`;
  await fetch(`${index}/_refresh`, { method: "POST" });
  const { count } = (await (await fetch(`${index}/_count`)).json()) as { count: number };
  const stored = (rows as { n: number }[])[0]!.n;
  if (stored === accepted && count === accepted) return;
  throw new Error(`${accepted} were accepted, ${stored} are stored and ${count} indexed`);
}
