import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { toConfig } from "../../src/config.ts";
import { Epochs } from "../../src/core/epochs.ts";
import type { Inspection } from "../../src/core/intake.ts";
import { decodeJob } from "../../src/core/jobs.ts";
import { type Given, Numbering } from "../../src/core/numbering.ts";
import type { ChatKey, Stack } from "../../src/core/ports.ts";
import { ParleyError } from "../../src/errors.ts";
import { openStack } from "../../src/stacks/open.ts";
import { parseJob } from "../../src/stacks/redis/job.ts";
import { JOBS, WAITING } from "../../src/stacks/redis/keys.ts";
import { chatJob, newApplication } from "../contract/jobs.ts";
import type { Wire } from "../contract/wire.ts";
import { pick } from "../support/random.ts";
import { type Place, testLog } from "../support/system.ts";
import { bodiesOf, LAST } from "./calls.ts";
import { findUnexplained } from "./explained.ts";
import { LOSSES, type Mode } from "./losses.ts";
import { type Copy, cutConnections, evict, putBack, takeCopy } from "./redis-copies.ts";
import { reseedAll, unlessParleyError } from "./reseeding.ts";
import { Turns } from "./turns.ts";

const CALLERS = 3;
const CHATS = 2;

/** An API process. The one that follows it when it dies uses the same connections. */
interface Api {
  stack: Stack;
  numbering: Numbering;
}

/**
 * Two API processes and a worker on a real Redis and a real database, all of whose steps are in an
 * order that is drawn, with faults in between. `shared/model/ledger.py` has the same shape.
 */
export class World {
  readonly violations: string[] = [];
  readonly count = { answered: 0, replayed: 0, epochs: 0, faults: 0 };
  private readonly mode: Mode;
  private readonly random: () => number;
  private readonly turns: Turns;
  private readonly wire: Wire;
  private readonly admin: Redis;
  private readonly apis: Api[] = [];
  private readonly chats: ChatKey[];
  private readonly answered: Map<number, string>[] = [];
  /** The numbers that requests were given, while Redis has kept everything. */
  private readonly given = new Map<string, number>();
  private copies: Copy[] = [];
  /** The last job that the worker took. */
  private taken = { epoch: 0, accepts: 0 };
  private run = 1;
  private over = false;

  private constructor(parts: { mode: Mode; random: () => number; wire: Wire; admin: Redis }) {
    this.mode = parts.mode;
    this.random = parts.random;
    this.wire = parts.wire;
    this.admin = parts.admin;
    this.turns = new Turns(parts.random);
    const applicationToken = randomUUID();
    this.chats = Array.from({ length: CHATS }, (_, at) => ({
      applicationToken,
      chatNumber: at + 1,
    }));
    for (const _ of this.chats) this.answered.push(new Map());
  }

  static async open(
    place: Place,
    parts: { mode: Mode; random: () => number; wire: Wire },
  ): Promise<World> {
    const admin = new Redis(place.env.PARLEY_REDIS_URL!);
    await admin.flushdb();
    const world = new World({ ...parts, admin });
    const config = toConfig({ ...place.env, PARLEY_REDIS_URL: parts.wire.href });
    for (let at = 0; at < 2; at++) {
      const stack = await openStack(config, {
        log: testLog,
        processId: randomUUID(),
        lenient: false,
      });
      world.apis.push({ stack, numbering: world.begin(stack) });
    }
    const { store } = world.apis[0]!.stack;
    const token = world.chats[0]!.applicationToken;
    await store.insertApplication(newApplication({ token }));
    await store.insertJobs(world.chats.map((chat) => chatJob(token, chat.chatNumber)));
    world.copies = [await takeCopy(world.admin)];
    return world;
  }

  async close(): Promise<void> {
    this.admin.disconnect();
    for (const { stack } of this.apis) await stack.stop();
  }

  /** Lets everybody go on for so many steps, with faults in between, then looks at what is left. */
  async live(steps: number): Promise<void> {
    for (const api of this.apis) this.launch(api);
    this.repeat(
      () => !this.over,
      () => this.work(),
    );
    for (let step = 0; step < steps; step++) {
      await this.turns.next();
      if (this.random() < (this.mode === "cut" ? 0.2 : 0.02))
        this.copies.push(await takeCopy(this.admin));
      if (this.random() < 0.02) await this.fault();
    }
    await this.settle();
  }

  /** Whoever numbers in a process; all its steps wait for their turns, as steps of this stack. */
  private begin(stack: Stack): Numbering {
    const inspect = async () => this.disguise(await stack.intake.inspect());
    // The step was done, and its answer was lost with the connection.
    const answered = <T>(result: T): T => {
      if (this.random() < (this.mode === "cut" ? 0.4 : 0.05))
        throw new ParleyError("COUNTERS_UNAVAILABLE", "cut");
      return result;
    };
    const accept: Stack["intake"]["accept"] = async (request) =>
      answered(await stack.intake.accept(request));
    const acceptBatch: Stack["intake"]["acceptBatch"] = async (request) =>
      answered(await stack.intake.acceptBatch(request));
    const parts = {
      intake: this.turns.wrap(stack, stack.intake, { inspect, accept, acceptBatch }),
      ledger: this.turns.wrap(stack, stack.ledger),
    };
    const epochs = new Epochs({
      ...parts,
      processId: randomUUID(),
      pause: async () => {
        for (const api of this.apis) await api.numbering.epochs.witness().catch(unlessParleyError);
        const ledger = this.turns.wrap(this, stack.ledger);
        await ledger.witness({ processId: "worker", ...this.taken }).catch(unlessParleyError);
      },
    });
    return new Numbering({ ...parts, epochs });
  }

  /** Redis as if it had been restarted, which this one Redis cannot be for each of many runs. */
  private disguise(found: Inspection): Inspection {
    return { ...found, runId: `run ${this.run}`, durable: this.mode !== "everysec" };
  }

  /** What a process does as long as it lives: calls of its clients, and its notes of them. */
  private launch(api: Api): void {
    const { numbering } = api;
    const lives = () => !this.over && api.numbering === numbering;
    for (let at = 0; at < CALLERS; at++) this.repeat(lives, () => this.call(api, lives));
    this.repeat(lives, () =>
      numbering.value(pick(this.random, this.chats)).catch(unlessParleyError),
    );
    this.repeat(lives, () => reseedAll(this.turns, api));
    this.repeat(lives, async () => {
      // A pause, since there is nothing to note but now and then.
      for (let at = 0; at < 10; at++) await this.turns.step(api.stack, async () => {});
      await numbering.epochs.witness().catch(unlessParleyError);
    });
  }

  private repeat(lives: () => boolean, task: () => Promise<unknown>): void {
    const loop = async () => {
      while (lives()) await task();
    };
    loop().catch((error: Error) => this.violations.push(`a fault: ${error.stack}`));
  }

  /** One call, tried with one request id until it is answered, and sometimes once more. */
  private async call(api: Api, lives: () => boolean): Promise<void> {
    const at = Math.floor(this.random() * CHATS);
    const id = randomUUID();
    while (lives()) {
      const found = await this.accept(api.numbering, at, id).catch(unlessParleyError);
      if (found === undefined) continue;
      this.note(at, id, found);
      if (this.random() < 0.7) return;
    }
  }

  private async accept(numbering: Numbering, at: number, id: string): Promise<Given> {
    const requestId = id === LAST ? undefined : id;
    const request = requestId === undefined ? undefined : { id, digest: "same" };
    const job = { kind: "message", ...this.chats[at]!, createMs: 1, requestId } as const;
    const messages = bodiesOf(id).map((body) => ({ body, author: "" }));
    const call = new AbortController();
    const found = await (messages.length === 1
      ? numbering.accept({ ...job, ...messages[0]! }, request, call)
      : numbering.acceptBatch({ ...job, messages }, request, call));
    if (found === undefined) throw new Error(`chat ${at + 1} was not found`);
    return found;
  }

  /** The last call of a chat: the connection may have been cut just now. */
  private async insist(numbering: Numbering, at: number): Promise<Given> {
    for (;;) {
      const given = await this.accept(numbering, at, LAST).catch(unlessParleyError);
      if (given !== undefined) return given;
    }
  }

  private note(at: number, id: string, { number, replayed }: Given): void {
    if (replayed) this.count.replayed++;
    else this.count.answered++;
    for (const [offset, body] of bodiesOf(id).entries()) {
      const before = this.answered[at]!.get(number + offset);
      if (before !== undefined && before !== body) {
        this.violations.push(`number ${number + offset} of chat ${at + 1} was given twice`);
      }
      this.answered[at]!.set(number + offset, body);
    }
    const first = this.given.get(id);
    if (first !== undefined && first !== number) {
      this.violations.push(`request ${id} was given ${first} and ${number}`);
    }
    this.given.set(id, number);
  }

  /** Applies the oldest job: looks at it, writes its row, takes it away, in three steps. */
  private async work(): Promise<void> {
    const { store } = this.apis[0]!.stack;
    const found = await this.turns.step(this, async () => {
      const id = await this.admin.lindex(WAITING, -1);
      const json = id === null ? null : await this.admin.hget(JOBS, id);
      return id === null || json === null ? undefined : { id, json };
    });
    if (found === undefined) return;
    const job = decodeJob(parseJob(found.json).data);
    this.taken = { epoch: job.epoch, accepts: job.accept };
    const [outcome] = await this.turns.step(this, () => store.insertJobs([job]));
    if (outcome!.kind === "failed") this.violations.push(`overwritten: ${outcome!.error.message}`);
    await this.turns.step(this, async () => {
      if ((await this.admin.hget(JOBS, found.id)) !== found.json) return;
      await this.admin.multi().hdel(JOBS, found.id).lrem(WAITING, -1, found.id).exec();
    });
  }

  private async fault(): Promise<void> {
    // What a process saw that dies together with the end of the file, nobody can know.
    const crash = this.mode === "cut" ? [] : (["api"] as const);
    const kind = pick(this.random, [...crash, "cut", "restart", ...LOSSES[this.mode]]);
    this.count.faults++;
    if (kind === "api") return this.kill(pick(this.random, this.apis));
    if (kind === "evict") return evict(this.admin, this.random, this.chats);
    if (kind !== "cut") this.run++;
    if (kind === "flush") await this.admin.flushdb();
    if (kind === "tail") await putBack(this.admin, this.copies[this.copies.length - 1]!);
    if (kind === "old") {
      await putBack(this.admin, pick(this.random, this.copies));
      // What an operator does, see docs/guarantees.md; the API processes are down meanwhile.
      const { ledger } = this.apis[0]!.stack;
      const { epoch } = await ledger.get();
      await ledger.begin({ after: epoch, runId: "put back" });
    }
    await cutConnections(
      this.wire,
      this.apis.map((api) => api.stack.intake),
    );
    if (kind === "flush" || kind === "tail" || kind === "old") this.given.clear();
  }

  private kill(api: Api): void {
    this.turns.drop(api.stack);
    api.numbering = this.begin(api.stack);
    if (!this.over) this.launch(api);
  }

  /** Seeds every counter by one more call, applies what waits, and explains every number. */
  private async settle(): Promise<void> {
    // They end here, and the end of the file may just have been lost: see fault().
    for (const { numbering } of this.mode === "cut" ? this.apis : []) {
      await this.turns.until(numbering.epochs.witness().catch(unlessParleyError));
    }
    this.over = true;
    this.turns.drop(this);
    for (const api of this.apis) this.kill(api);
    const [{ numbering, stack }] = this.apis as [Api, Api];
    const { store, ledger } = stack;
    const last: number[] = [];
    for (const at of this.chats.keys()) {
      const given = await this.turns.until(this.insist(numbering, at));
      this.note(at, `${LAST} ${at}`, given);
      last.push(given.number);
    }
    const jobs = (await this.admin.hvals(JOBS)).map((json) => decodeJob(parseJob(json).data));
    for (const outcome of await store.insertJobs(jobs)) {
      if (outcome.kind === "failed") this.violations.push(`overwritten: ${outcome.error.message}`);
    }
    this.count.epochs = (await ledger.get()).epoch;
    const skipsNone = this.mode === "durable";
    for (const [at, chat] of this.chats.entries()) {
      const given = { last: last[at]!, answered: this.answered[at]!, skipsNone };
      this.violations.push(...(await findUnexplained(stack, chat, given)));
    }
  }
}
