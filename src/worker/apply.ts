import { setTimeout as sleep } from "node:timers/promises";
import type { NumberRange } from "../../gen/parley/v1/state.ts";
import type { Job, MessageJob } from "../core/jobs.ts";
import type { ChatKey, Outcome, SearchIndex, Stack, Store } from "../core/ports.ts";
import type { Wakeup } from "../core/wakeup.ts";
import { isUnavailable } from "../errors.ts";
import type { Events } from "../events.ts";
import type { Logger } from "../log.ts";
import { Breaker } from "./breaker.ts";

const HOLD_FIRST_MS = 100;
const HOLD_LAST_MS = 2_000;

/**
 * Applies batches of jobs: rows first, then the index. Applying a job again changes nothing. An
 * absent store uses up no try of a job: the batch is held until the store answers.
 */
export class Applier {
  private readonly store: Store;
  private readonly index: SearchIndex;
  private readonly wakeup: Wakeup;
  private readonly log: Logger;
  private readonly events: Events | undefined;
  private readonly breaker = new Breaker();
  private readonly stopped: AbortSignal;

  constructor(
    parts: Pick<Stack, "store" | "index" | "wakeup"> & {
      log: Logger;
      events?: Events | undefined;
      stopped: AbortSignal;
    },
  ) {
    this.store = parts.store;
    this.index = parts.index;
    this.wakeup = parts.wakeup;
    this.log = parts.log;
    this.events = parts.events;
    this.stopped = parts.stopped;
  }

  /**
   * Answers for each job, in order: an error where the job itself is at fault. Where the batch may
   * not `wait` for the store it throws the error that says that the store is away.
   */
  async apply(jobs: Job[], { wait }: { wait: boolean }): Promise<(Error | undefined)[]> {
    const hold = <T>(step: () => Promise<T>) => (wait ? this.hold(step) : step());
    const beganMs = Date.now();
    const outcomes = await hold(() => this.store.insertJobs(jobs));
    const persistedMs = Date.now();
    const messages = jobs.filter(
      (job, at): job is MessageJob => job.kind === "message" && isStored(outcomes[at]!),
    );
    if (messages.length > 0) this.wakeup.tell(messages);
    const lacking = messages.length > 0 ? await this.indexAll(messages) : [];
    const indexedMs = Date.now();
    if (lacking.length > 0) await hold(() => this.store.noteGaps(gapsOf(lacking)));
    const times = { beganMs, persistedMs, indexedMs };
    this.events?.batch({ jobs, outcomes, messages, lacking, ...times });
    return outcomes.map(errorOf);
  }

  /** Indexes what can be indexed now, and returns the rest. */
  private async indexAll(messages: MessageJob[]): Promise<MessageJob[]> {
    if (this.breaker.open(Date.now())) return messages;
    try {
      const errors = await this.index.index(messages.map((job) => ({ ...job, version: 1 })));
      this.breaker.succeeded();
      const refused = errors.find((error) => error !== undefined);
      if (refused !== undefined) this.log.warn({ err: refused }, "messages were not indexed");
      return messages.filter((_, at) => errors[at] !== undefined);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      this.breaker.failed(Date.now());
      this.log.warn({ err: error.cause }, "the search index is away; what it lacks is noted");
      return messages;
    }
  }

  /** Tries until the store answers; when the worker stops meanwhile, the jobs go back unapplied. */
  private async hold<T>(step: () => Promise<T>): Promise<T> {
    for (let pauseMs = HOLD_FIRST_MS; ; pauseMs = Math.min(pauseMs * 2, HOLD_LAST_MS)) {
      try {
        return await step();
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        this.log.warn({ err: error.cause, pauseMs }, "the database is away; the batch is held");
        await sleep(pauseMs, undefined, { signal: this.stopped });
      }
    }
  }
}

function isStored({ kind }: Outcome): boolean {
  return kind === "inserted" || kind === "present";
}

function errorOf(outcome: Outcome): Error | undefined {
  return outcome.kind === "failed" ? outcome.error : undefined;
}

/** One envelope a chat: the lowest to the highest number that is lacking. */
function gapsOf(messages: MessageJob[]): ({ range: NumberRange } & ChatKey)[] {
  const gaps = new Map<string, { range: NumberRange } & ChatKey>();
  for (const { applicationToken, chatNumber, number } of messages) {
    const name = `${applicationToken}:${chatNumber}`;
    const range = gaps.get(name)?.range ?? { firstNumber: number, lastNumber: number };
    range.firstNumber = Math.min(range.firstNumber, number);
    range.lastNumber = Math.max(range.lastNumber, number);
    gaps.set(name, { applicationToken, chatNumber, range });
  }
  return [...gaps.values()];
}
