import { ParleyError } from "../errors.ts";
import type { Call } from "./core.ts";
import type { Epochs, Trust } from "./epochs.ts";
import { Gate } from "./gate.ts";
import type { Acceptance, Intake } from "./intake.ts";
import { type BatchDraft, encodeBatch, encodeDraft, type JobDraft, jobIdOf } from "./jobs.ts";
import { ACCEPT_ROUNDS_MAX, CEILING_BLOCK, STRANGERS_MAX } from "./limits.ts";
import type { Counter, Ledger } from "./ports.ts";

/** What stands in the way of a number until the ledger grants something. */
type Need = Acceptance & { kind: "unseeded" | "exhausted"; unlessSeeded?: boolean; room?: number };

/** What became of a need: no such counter, the intake has a start now, or it has to be asked. */
type Fate = "unknown" | "seeded" | "open";

type Granted = Awaited<ReturnType<Ledger["grant"]>>;

/** A number that was given, now or to an earlier call with the same request id. */
export interface Given {
  /** Of a batch the first. */
  number: number;
  createMs: number;
  replayed: boolean;
  /** True where it is that of a chat which has the external id already. */
  existed: boolean;
}

/** Who calls, as far as the wish to stop goes. */
type Interruptible = Pick<Call, "signal">;

interface Request {
  id: string;
  digest: string;
}

/** What a step is told of the trust of this moment. */
type Told = Trust & { seen: number };

/**
 * Gives numbers that are never given again, whatever becomes of the intake's data. The protocol is
 * written up in docs/architecture.md ("Numbers"): the intake is trusted only after it was held
 * against the ledger, and gives numbers only up to ceilings that the ledger granted.
 */
export class Numbering {
  readonly epochs: Epochs;
  private readonly intake: Intake;
  private readonly ledger: Ledger;
  private readonly granting = new Map<string, Promise<Fate>>();
  /** Counters of which the intake knows nothing are asked of the ledger here, a few at a time. */
  private readonly strangers = new Gate(STRANGERS_MAX);

  constructor(parts: { intake: Intake; ledger: Ledger; epochs: Epochs }) {
    this.intake = parts.intake;
    this.ledger = parts.ledger;
    this.epochs = parts.epochs;
  }

  /** Allocates a number and leaves the job. Undefined where the counter does not exist. */
  accept(
    draft: JobDraft,
    request: Request | undefined,
    call: Interruptible,
  ): Promise<Given | undefined> {
    const { createMs } = draft;
    const step = { counter: counterOf(draft), createMs, request, ...encodeDraft(draft) };
    return this.allocate(step, call, (told) => this.intake.accept({ ...step, ...told }));
  }

  /**
   * The same for a chat with an external id: the number of the chat that has it, or a new one.
   * `findRow` says which row has it. It is asked between two looks at the intake under one trust:
   * what the rows lack then was accepted under that trust, and the intake knows it, or it was lost.
   */
  acceptNamed(
    draft: JobDraft & { externalId: string },
    request: Request | undefined,
    call: Interruptible,
    findRow: () => Promise<number | undefined>,
  ): Promise<Given | undefined> {
    const { createMs, externalId } = draft;
    const counter = counterOf(draft);
    const step = { counter, createMs, request, externalId, ...encodeDraft(draft) };
    return this.allocate(step, call, async (told) => {
      const found = await this.intake.accept({ ...step, ...told, lookOnly: true });
      if (found.kind !== "unnamed") return found;
      const number = await findRow();
      // A row outlives the intake, so there is nothing that must have been seen.
      if (number !== undefined) return { kind: "existing", number, accept: 0 };
      return this.intake.accept({ ...step, ...told });
    });
  }

  /** Allocates consecutive numbers for messages, and leaves their jobs, all or none. */
  acceptBatch(
    batch: BatchDraft,
    request: Request | undefined,
    call: Interruptible,
  ): Promise<Given | undefined> {
    const { applicationToken, chatNumber, createMs } = batch;
    const counter = { applicationToken, chatNumber };
    const step = { counter, createMs, request, ...encodeBatch(batch) };
    const room = batch.messages.length;
    return this.allocate({ ...step, room }, call, (told) =>
      this.intake.acceptBatch({ ...step, ...told }),
    );
  }

  /** Goes on until the step gives a number, or says why there is none. */
  private async allocate(
    { counter, createMs, room = 1 }: { counter: Counter; createMs: number; room?: number },
    call: Interruptible,
    step: (told: Told) => Promise<Acceptance>,
  ): Promise<Given | undefined> {
    for (let round = 0; round < ACCEPT_ROUNDS_MAX; round++) {
      // The first step is taken at once, so there is nothing yet that could be left.
      if (round > 0) call.signal.throwIfAborted();
      const trust = await this.epochs.trusted();
      const result = await step({ ...trust, seen: this.epochs.seenIn(trust.epoch) });
      switch (result.kind) {
        case "accepted":
          this.epochs.see(trust.epoch, result.accept);
          this.raiseAhead(trust, counter, { ...result, number: result.number + room - 1 });
          return { number: result.number, createMs, replayed: false, existed: false };
        case "replayed":
          this.epochs.see(trust.epoch, result.accept);
          return { ...result, replayed: true, existed: false };
        case "existing":
          this.epochs.see(trust.epoch, result.accept);
          return { number: result.number, createMs, replayed: false, existed: true };
        case "unseeded":
        case "exhausted":
          if ((await this.grant(trust, counter, { ...result, room })) === "unknown") {
            return undefined;
          }
          break;
        case "distrusted":
          this.epochs.distrust(trust);
          break;
        default:
          throw refused(result.kind);
      }
    }
    throw new ParleyError("COUNTERS_UNAVAILABLE", "numbers cannot be allocated now");
  }

  /**
   * The highest number that was given, 0 for none. A counter that the intake lacks is seeded, which
   * is how reads mend it after a loss; undefined where no such counter exists. Throws where its key
   * holds what is no number.
   */
  async value(counter: Counter): Promise<number | undefined> {
    let lost = false;
    for (let round = 0; round < ACCEPT_ROUNDS_MAX; round++) {
      const [count] = await this.intake.counts([counter]);
      if (Number.isNaN(count)) {
        // Asking the ledger would mend nothing, and cost a block of numbers each time.
        throw new ParleyError("COUNTERS_UNAVAILABLE", "the counter holds what is no number");
      }
      if (count !== undefined) return count;
      const trust = await this.epochs.trusted();
      const mark = await this.intake.markOf(counter);
      const need = { kind: "unseeded", value: undefined, lost, mark } as const;
      const fate = await this.grant(trust, counter, need);
      if (fate === "unknown") return undefined;
      // An intake that has a ceiling and no value has lost the counter's key.
      lost = fate === "seeded";
    }
    throw new ParleyError("COUNTERS_UNAVAILABLE", "numbers cannot be read now");
  }

  /**
   * Seeds a counter that was not used since its epoch began, as its next use would; nothing where
   * there is no such counter.
   */
  async reseed(counter: Counter): Promise<void> {
    for (let round = 0; round < ACCEPT_ROUNDS_MAX; round++) {
      const trust = await this.epochs.trusted();
      const [[value], mark] = await Promise.all([
        this.intake.counts([counter]),
        this.intake.markOf(counter),
      ]);
      // Nothing is seeded over it, and the counters after this one must not wait for it.
      if (Number.isNaN(value)) return;
      const need = { kind: "unseeded", value, lost: false, mark, unlessSeeded: true } as const;
      // Left open where the epoch that was trusted is over, or somebody else was just granted more.
      if ((await this.grant(trust, counter, need)) !== "open") return;
    }
    throw new ParleyError("COUNTERS_UNAVAILABLE", "counters cannot be seeded now");
  }

  /** Held against the ledger, so that an answer that needs numbers can be refused beforehand. */
  async check(): Promise<void> {
    await this.epochs.trusted();
    await this.intake.inspect();
  }

  /** One grant per counter at a time: callers that wait for the same one share it. */
  private grant(trust: Trust, counter: Counter, need: Need): Promise<Fate> {
    const name = `${counter.applicationToken}:${counter.chatNumber ?? ""}`;
    const underway = this.granting.get(name);
    if (underway !== undefined) return underway;
    const started = this.grantOnce(trust, counter, need).finally(() => this.granting.delete(name));
    this.granting.set(name, started);
    return started;
  }

  private async grantOnce(trust: Trust, counter: Counter, need: Need): Promise<Fate> {
    const seeds = need.kind === "unseeded";
    const { epoch } = trust;
    const granted = await (seeds
      ? this.seed(trust, counter, need)
      : this.ledger.grant({ counter, epoch, known: true, ceiling: need.ceiling, room: need.room }));
    if (granted === "unknown") return "unknown";
    if (granted === "stale") {
      this.epochs.distrust(trust);
      return "open";
    }
    const start = seeds ? { start: granted.start, lost: need.lost, mark: need.mark } : {};
    const taken = await this.intake.grant({
      ...trust,
      counter,
      ...start,
      ceiling: granted.ceiling,
    });
    return taken && seeds ? "seeded" : "open";
  }

  /**
   * Asks for a start. A counter's key alone does not say that its chat exists: it is left behind
   * where the database is an older copy. A job does, until its row is there. The key's value is
   * told for the same case: there the ceilings of the ledger are older than what was given.
   */
  private async seed(
    { epoch }: Trust,
    counter: Counter,
    { value, mark, unlessSeeded = false, room, ...need }: Need & { kind: "unseeded" },
  ): Promise<Granted> {
    const ask = async () => {
      const known = await this.hasJob(counter);
      // What was taken away has lost its value too.
      const lost = need.lost || mark !== "";
      const atLeast = value ?? 0;
      return this.ledger.grant({ counter, epoch, known, atLeast, lost, unlessSeeded, room });
    };
    // What has no key may not exist, and can be asked for by anybody.
    return value === undefined ? this.strangers.pass(1, undefined, ask) : ask();
  }

  private async hasJob({ applicationToken, chatNumber: number }: Counter): Promise<boolean> {
    if (number === undefined) return false;
    const [job] = await this.intake.find([jobIdOf({ applicationToken, number })]);
    return job !== undefined;
  }

  /** Raises a ceiling before it is reached, so that no caller waits for the database. */
  private raiseAhead(trust: Trust, counter: Counter, at: { number: number; left: number }): void {
    const ceiling = at.number + at.left;
    if (at.left > Math.min(ceiling, CEILING_BLOCK.last) / 4) return;
    // A failure here is no caller's: whoever reaches the ceiling tries again and hears of it.
    this.grant(trust, counter, { kind: "exhausted", ceiling }).catch(() => {});
  }
}

function refused(kind: "full" | "reused" | "unnamed"): Error {
  switch (kind) {
    case "full":
      return new ParleyError("BACKLOG_FULL", "too much work waits to be stored");
    case "reused":
      return new ParleyError(
        "REQUEST_ID_REUSED",
        "request_id was used before, for the same parent, with other content",
      );
    case "unnamed":
      return new Error("nothing was to be looked up only");
  }
}

function counterOf(draft: JobDraft): Counter {
  const { applicationToken } = draft;
  return draft.kind === "chat"
    ? { applicationToken }
    : { applicationToken, chatNumber: draft.chatNumber };
}
