import { LoadProcess } from "./load/load.ts";
import type { Order } from "./load/order.ts";
import { alternate, atLeast, atMost, type Bench, type Measured, medianOf } from "./measurement.ts";
import { cpuMsOf, FloorProcess, makeChats, ParleyProcess, withStarted } from "./processes.ts";

const IN_FLIGHT = 128;
const CHATS = 20;

/** What a call costs beside an empty handler of grpc-js with the same messages. No worker runs. */
export const accepts: Bench = {
  names: ["create-rate", "create-cpu", "create-latency", "batch-rate"],
  run: ({ rounds, roundMs }) =>
    withStarted(async (started) => {
      const place = await started.place("production");
      // No worker runs, and batches leave a million jobs within the rounds.
      const room = { PARLEY_BACKLOG_MAX: "100000000" };
      const api = started.add(await ParleyProcess.start(place, "api", room));
      const empty = started.add(await FloorProcess.start("bench/floors/empty-server.ts"));
      const load = started.add(new LoadProcess());
      const applicationToken = await makeChats(started.clients(api.target), CHATS);

      const send = async (
        to: { target: string; pid: number },
        pace: Order["pace"],
        batch?: number,
      ) => {
        const beforeMs = cpuMsOf(to.pid);
        const order = { target: to.target, applicationToken, chats: CHATS, batch, pace };
        const report = await load.run(order);
        const cpuMicros = ((cpuMsOf(to.pid) - beforeMs) * 1_000) / report.answered;
        return { ...report, perSecond: (report.answered * 1_000) / report.ms, cpuMicros };
      };
      const flood = { inFlight: IN_FLIGHT, ms: roundMs };
      const full = await alternate(rounds, {
        ours: () => send(api, flood),
        floor: () => send(empty, flood),
      });
      const rateOf = (side: "ours" | "floor") => medianOf(full[side].map((one) => one.perSecond));
      const cpuOf = (side: "ours" | "floor") => medianOf(full[side].map((one) => one.cpuMicros));
      const found: Measured[] = [
        atLeast(0.85, {
          name: "create-rate",
          value: rateOf("ours"),
          unit: "calls/s",
          floor: rateOf("floor"),
        }),
        atMost(1.4, {
          name: "create-cpu",
          value: cpuOf("ours"),
          unit: "us/call",
          floor: cpuOf("floor"),
        }),
      ];

      const third = { perSecond: Math.round(rateOf("ours") / 3), ms: roundMs };
      const calm = await alternate(rounds, {
        ours: () => send(api, third),
        floor: () => send(empty, third),
      });
      const p50 = medianOf(calm.ours.map((one) => one.p50)).toFixed(2);
      const p50Floor = medianOf(calm.floor.map((one) => one.p50)).toFixed(2);
      found.push(
        atMost(2, {
          name: "create-latency",
          value: medianOf(calm.ours.map((one) => one.p99)),
          unit: "ms p99",
          floor: medianOf(calm.floor.map((one) => one.p99)),
          note: `${third.perSecond} calls/s; p50 ${p50} ms beside ${p50Floor} ms`,
        }),
      );

      const batches = { inFlight: 4, ms: roundMs };
      const many = await alternate(rounds, {
        ours: () => send(api, batches, 100),
        floor: () => send(api, flood),
      });
      found.push(
        atLeast(6, {
          name: "batch-rate",
          value: 100 * medianOf(many.ours.map((one) => one.perSecond)),
          unit: "messages/s",
          floor: medianOf(many.floor.map((one) => one.perSecond)),
        }),
      );
      return found;
    }),
};
