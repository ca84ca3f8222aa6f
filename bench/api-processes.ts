import { cpus } from "node:os";
import { LoadProcess } from "./load/load.ts";
import { alternate, atLeast, type Bench, medianOf } from "./measurement.ts";
import { makeChats, ParleyProcess, withStarted } from "./processes.ts";

const IN_FLIGHT = 128;
const CHATS = 20;
/** Two for the API, and two for the load, Redis and the rest. */
const CORES_LEAST = 4;

/** Two API processes on one port beside one, under the load of two processes that call. */
export const apiProcesses: Bench = {
  names: ["two-processes"],
  run: ({ rounds, roundMs }) =>
    withStarted(async (started) => {
      const place = await started.place("production");
      const one = started.add(await ParleyProcess.start(place, "api"));
      const two = started.add(
        await ParleyProcess.start(place, "api", { PARLEY_API_PROCESSES: "2" }),
      );
      const loads = [started.add(new LoadProcess()), started.add(new LoadProcess())];
      const applicationToken = await makeChats(started.clients(one.target), CHATS);
      // Each process that calls has one connection, and connections go to the processes in turn.
      const rateOf = async ({ target }: ParleyProcess) => {
        const pace = { inFlight: IN_FLIGHT / 2, ms: roundMs };
        const order = { target, applicationToken, chats: CHATS, pace };
        const reports = await Promise.all(loads.map((load) => load.run(order)));
        return reports.reduce((sum, { answered, ms }) => sum + (answered * 1_000) / ms, 0);
      };
      const rates = await alternate(rounds, { ours: () => rateOf(two), floor: () => rateOf(one) });
      const found = atLeast(1.5, {
        name: "two-processes",
        value: medianOf(rates.ours),
        unit: "calls/s",
        floor: medianOf(rates.floor),
      });
      const cores = cpus().length;
      if (cores >= CORES_LEAST) return [found];
      const note = `${cores} cores: two processes have nowhere to run beside the load and Redis`;
      return [{ ...found, ok: null, note }];
    }),
};
