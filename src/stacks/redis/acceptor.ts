import type { Acceptance } from "../../core/intake.ts";
import { REQUEST_IDS_PER_JOB } from "../../core/limits.ts";
import { unavailable } from "./connection.ts";
import { DIRTY, EXTERNAL_PREFIX, JOBS, LEDGER, REQUESTS_PREFIX, WAITING } from "./keys.ts";
import type { ScriptedRedis } from "./scripts.ts";

/**
 * Calls of one step: with more, Redis would wait for what is still read from callers, and they for
 * it. A batch may have more jobs, alone.
 */
const STEP_CALLS_MAX = 32;
const STEP_JOBS_MAX = 1_000;
/** The least room for a step's words: much more than a lone call needs is much more to collect. */
const WORDS_BYTES_MIN = 2_048;

/** What a step is taken under: the client of a connection, and the epoch of its trust. */
export interface Under {
  redis: ScriptedRedis;
  epoch: number;
  seen: number;
}

/** One call as accept.lua takes it. */
export interface AcceptCall {
  /** In the order of accept.lua, parts of a batch included, each ended by a line feed. */
  words: string;
  jobs: number;
}

interface Step extends Under {
  words: Words;
  jobs: number;
  waiting: { done(acceptance: Acceptance): void; failed(error: unknown): void }[];
}

/**
 * Gathers the calls of one turn of the event loop into steps of accept.lua. Each command has a cost
 * of its own on both sides, which is most of what a number costs.
 */
export class Acceptor {
  private readonly bounds: { requestIdTtlMs: number; backlogMax: number };
  private open: Step | undefined;
  /** Room for the words of a step like the one before. */
  private room = WORDS_BYTES_MIN;

  constructor(bounds: Acceptor["bounds"]) {
    this.bounds = bounds;
  }

  add({ redis, epoch, seen }: Under, call: AcceptCall): Promise<Acceptance> {
    let step = this.open;
    if (
      step !== undefined &&
      (step.redis !== redis || step.epoch !== epoch || step.jobs + call.jobs > STEP_JOBS_MAX)
    ) {
      this.send(step);
      step = undefined;
    }
    if (step === undefined) {
      const words = new Words(this.room);
      const opened: Step = { redis, epoch, seen, words, jobs: 0, waiting: [] };
      // When all that began in this turn has come as far as this.
      process.nextTick(() => this.send(opened));
      this.open = opened;
      step = opened;
    }
    step.seen = Math.max(step.seen, seen);
    step.words.add(call.words);
    step.jobs += call.jobs;
    const { waiting } = step;
    const answered = new Promise<Acceptance>((done, failed) => waiting.push({ done, failed }));
    if (waiting.length === STEP_CALLS_MAX) this.send(step);
    return answered;
  }

  /** Nothing where it was sent before. */
  private send(step: Step): void {
    if (this.open !== step) return;
    this.open = undefined;
    const { requestIdTtlMs, backlogMax } = this.bounds;
    const keys = [LEDGER, DIRTY, JOBS, WAITING];
    const shared = [step.epoch, step.seen, backlogMax, REQUEST_IDS_PER_JOB];
    const names = [REQUESTS_PREFIX, requestIdTtlMs, EXTERNAL_PREFIX];
    const { bytes } = step.words;
    this.room = Math.max(WORDS_BYTES_MIN, Math.ceil(bytes.length * 1.25));
    step.redis
      .accept(...keys, ...shared, ...names, step.waiting.length, bytes)
      .then((replies) => {
        step.waiting.forEach(({ done, failed }, at) => {
          try {
            done(acceptanceOf((replies as string[])[at]!));
          } catch (error) {
            failed(unavailable(error));
          }
        });
      })
      .catch((error: unknown) => {
        for (const { failed } of step.waiting) failed(unavailable(error));
      });
  }
}

/** Copies text as it comes: joined first, it is written several times over, and kept by V8. */
class Words {
  private buffer: Buffer;
  private length = 0;

  constructor(room: number) {
    this.buffer = Buffer.allocUnsafe(room);
  }

  add(text: string): void {
    // A character takes at most 3 bytes for each of its units.
    const enough = this.length + 3 * text.length;
    if (enough > this.buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(enough, 2 * this.buffer.length));
      this.buffer.copy(larger, 0, 0, this.length);
      this.buffer = larger;
    }
    this.length += this.buffer.write(text, this.length);
  }

  get bytes(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
}

/** The reply to one call, see accept.lua. */
function acceptanceOf(reply: string): Acceptance {
  const [kind, first, second, third, ...more] = reply.split(" ");
  switch (kind) {
    case "accepted":
      return { kind, number: Number(first), accept: Number(second), left: Number(third) };
    case "replayed": {
      const createMs = Number.parseInt(second!, 36);
      return { kind, number: Number(first), createMs, accept: Number(third) };
    }
    case "unseeded":
      return {
        kind,
        value: first === "" ? undefined : Number(first),
        lost: second === "1",
        mark: [third, ...more].join(" "),
      };
    case "exhausted":
      return { kind, ceiling: Number(first) };
    case "existing":
      return { kind, number: Number(first), accept: Number(second) };
    case "reused":
    case "distrusted":
    case "full":
    case "unnamed":
      return { kind };
    case "taken":
      throw new Error(`a job has number ${first} already`);
    case "broken":
      throw new Error("what is kept of the request id, external id or counter is not ours");
    default:
      throw new Error(`accept.lua replied ${kind}`);
  }
}
