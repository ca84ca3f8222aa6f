import { spawn } from "node:child_process";
import { once } from "node:events";
import { State } from "../gen/parley/v1/state.ts";
import { openClients, type Place } from "../test/support/system.ts";
import { LoadProcess } from "./load/load.ts";
import {
  alternate,
  atLeast,
  atMostMore,
  type Bench,
  type Measured,
  medianOf,
  type Scale,
} from "./measurement.ts";
import { makeChats, ParleyProcess, type Started, withStarted } from "./processes.ts";

const IN_FLIGHT = 128;
const CHATS = 20;

/** The stack that needs nothing: how soon it is there, and how fast beside the other one. */
export const embedded: Bench = {
  names: ["embedded-start", "embedded-rate"],
  run: async (scale) => [
    await withStarted((started) => measureStart(started, scale)),
    await withStarted((started) => measureRate(started, scale)),
  ],
};

/** From the start of the process on an empty folder to the first call that it answers. */
async function measureStart(started: Started, { rounds }: Scale): Promise<Measured> {
  const start = async () => {
    const place = await started.place("embedded");
    const beganMs = performance.now();
    const parley = await ParleyProcess.start(place, "start");
    const clients = openClients(parley.target);
    try {
      await clients.createApplication({ application: { name: "first" } });
      return (performance.now() - beganMs) / 1_000;
    } finally {
      clients.close();
      await parley.stop();
    }
  };
  const startNode = async () => {
    const beganMs = performance.now();
    await once(spawn(process.execPath, ["-e", "0"]), "exit");
    return (performance.now() - beganMs) / 1_000;
  };
  const sides = await alternate(rounds, { ours: start, floor: startNode });
  const floor = medianOf(sides.floor);
  const value = medianOf(sides.ours) - floor;
  const note = "what it takes beyond a bare Node, to the first answered call";
  return atMostMore(2, { name: "embedded-start", value, unit: "s", floor, note });
}

/** Durable creates of each stack, with all that applies them at work beside. */
async function measureRate(started: Started, { rounds, roundMs }: Scale): Promise<Measured> {
  const load = started.add(new LoadProcess());
  const sideOf = async (place: Place, parts: ("start" | "api" | "worker")[]) => {
    let target = "";
    for (const part of parts) {
      const one = started.add(await ParleyProcess.start(place, part));
      target ||= one.target;
    }
    const clients = started.clients(target);
    const applicationToken = await makeChats(clients, CHATS);
    return async () => {
      const pace = { inFlight: IN_FLIGHT, ms: roundMs };
      const report = await load.run({ target, applicationToken, chats: CHATS, pace });
      // Jobs are applied in turn: after this one nothing is left to do beside the other side.
      for (;;) {
        const said = { body: "the last", author: "ada" };
        const { message } = await clients.createMessage({
          applicationToken,
          chatNumber: 1,
          message: said,
          waitFor: SEARCHABLE,
        });
        if (message!.state === SEARCHABLE) break;
      }
      return (report.answered * 1_000) / report.ms;
    };
  };
  const sides = await alternate(rounds, {
    ours: await sideOf(await started.place("embedded"), ["start"]),
    floor: await sideOf(await started.place("production"), ["api", "worker"]),
  });
  return atLeast(0.8, {
    name: "embedded-rate",
    value: medianOf(sides.ours),
    unit: "calls/s",
    floor: medianOf(sides.floor),
    note: "both with their workers at work",
  });
}

const SEARCHABLE = State.STATE_SEARCHABLE;
