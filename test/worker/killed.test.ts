import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { ServiceError } from "@grpc/grpc-js";
import { expect } from "chai";
import type { Message } from "../../clients/typescript/src/contract.ts";
import { spawnCommand } from "../support/command.ts";
import { productionMissing } from "../support/servers.ts";
import { freshPlace, type Place, type Running, start } from "../support/system.ts";

const BURST = 300;
/** Of a call that a client makes again while a part is away. */
const TRIES_MAX = 60;
/** gRPC's code. */
const UNAVAILABLE = 14;

const suite = productionMissing === undefined ? describe : describe.skip;

suite("workers that are killed, or stopped and go on (production)", () => {
  let place: Place;
  let parley: Running;
  const workers = new Set<ChildProcess>();

  const startWorker = () => {
    const worker = spawnCommand(place.env, "worker");
    for (const output of [worker.stdout, worker.stderr]) output?.resume();
    workers.add(worker);
    return worker;
  };
  before(async () => {
    place = await freshPlace("production");
    parley = await start(place, ["api"]);
  });
  after(async () => {
    for (const worker of workers) {
      if (worker.exitCode !== null || worker.signalCode !== null) continue;
      worker.kill("SIGKILL");
      await once(worker, "exit");
    }
    await parley?.stop();
    await place?.drop();
  });

  it("lose nothing, double nothing and leave no ghosts", async function () {
    this.timeout(120_000);
    const { clients, system } = parley;
    const { queue, index } = system.stack;
    const { application } = await clients.createApplication({ application: { name: "killed" } });
    const applicationToken = application!.token;
    await clients.createChat({ applicationToken });
    const key = { applicationToken, chatNumber: 1 };
    const bodies = new Map<number, string>();
    const send = async (name: string) => {
      const message = { author: "ann", body: `body ${name}` };
      const request = { ...key, message, requestId: randomUUID() };
      // A worker that is stopped in a transaction keeps others from its rows for ten seconds.
      for (let tries = 1; ; tries++) {
        try {
          const answer = await clients.createMessage(request, { timeoutMs: 30_000 });
          bodies.set(answer.message!.number, message.body);
          return;
        } catch (error) {
          if ((error as ServiceError).code !== UNAVAILABLE || tries === TRIES_MAX) throw error;
          await new Promise((resolve) => setTimeout(resolve, 500));
        }
      }
    };
    const burst = (name: string) =>
      Promise.all(Array.from({ length: BURST }, (_, at) => send(`${name} ${at}`)));
    const stored = () => until(async () => (await index.extent(key)).count === bodies.size);
    /** Sends until workers have jobs in work; what was sent is answered when the promise is. */
    const sendUntilInWork = async () => {
      for (let round = 1; ; round++) {
        let answered = false;
        const sent = burst(`round ${round}`).then(() => {
          answered = true;
        });
        await until(async () => answered || (await queue.counts()).inWork > BURST / 10);
        if (!answered) return { sent };
      }
    };

    const killed = startWorker();
    const stopped = startWorker();
    await burst("first");
    await stored();
    const { sent } = await sendUntilInWork();
    killed.kill("SIGKILL");
    stopped.kill("SIGSTOP");
    await sent;
    // What they had comes to a third one, and what the stopped one says afterwards changes nothing.
    startWorker();
    await stored();
    stopped.kill("SIGCONT");
    await burst("last");
    await stored();
    const idle = { waiting: 0, inWork: 0, delayed: 0, suspects: 0, parked: 0 };
    await until(async () => JSON.stringify(await queue.counts()) === JSON.stringify(idle));

    const all: Message[] = [];
    for (let pageToken = ""; all.length === 0 || pageToken !== ""; ) {
      const page = await clients.listMessages({ ...key, pageSize: 1_000, pageToken });
      all.push(...page.messages);
      pageToken = page.nextPageToken;
    }
    expect(all.map(({ number }) => number)).to.deep.equal(all.map((_, at) => at + 1));
    expect(new Map(all.map(({ number, body }) => [number, body]))).to.deep.equal(
      new Map([...bodies].sort(([one], [other]) => one - other)),
    );
    expect(await index.extent(key)).to.deep.equal({ count: bodies.size, lastNumber: bodies.size });
  });
});

/** Asks until it is so. */
async function until(ask: () => Promise<boolean>): Promise<void> {
  while (!(await ask())) await new Promise((resolve) => setTimeout(resolve, 5));
}
