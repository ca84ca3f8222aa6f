import { setTimeout as sleep } from "node:timers/promises";
import { ParleyError } from "../errors.ts";
import { encodeDraft, type JobDraft } from "./jobs.ts";
import { ACCEPT_ROUNDS_MAX, CEILING_BLOCK, SEED_LEASE_MS, SEED_PAUSE_MS } from "./limits.ts";
import type { Acceptance, Counter, Intake, Lease, Ledger } from "./ports.ts";

/** The connection and epoch that this process may allocate numbers in. */
interface Trust {
  connection: number;
  epoch: number;
}

/** A number that was given, now or to an earlier call with the same request id. */
export interface Given {
  number: number;
  createMs: number;
  replayed: boolean;
}

/**
 * Gives numbers that are never given again, whatever becomes of the intake's data. The protocol is
 * written up in docs/architecture.md ("Numbers"): the intake is trusted only after it was held
 * against the ledger, and gives numbers only up to ceilings that the ledger granted.
 */
export class Numbering {
  private readonly intake: Intake;
  private readonly ledger: Ledger;
  private readonly lease: Lease;
  private readonly processId: string;
  private trust: Trust | undefined;
  private connecting: Promise<Trust> | undefined;
  private readonly granting = new Map<string, Promise<boolean>>();
  /** The highest running number that this process saw, and in which epoch. */
  private seen = { epoch: 0, accepts: 0 };
  private witnessed = 0;

  constructor(parts: { intake: Intake; ledger: Ledger; lease: Lease; processId: string }) {
    this.intake = parts.intake;
    this.ledger = parts.ledger;
    this.lease = parts.lease;
    this.processId = parts.processId;
  }

  /** Allocates a number and leaves the job. Undefined where the counter does not exist. */
  async accept(
    draft: JobDraft,
    request: { id: string; digest: string } | undefined,
    signal: AbortSignal,
  ): Promise<Given | undefined> {
    const counter = counterOf(draft);
    const { head, tail } = encodeDraft(draft);
    for (let round = 0; round < ACCEPT_ROUNDS_MAX; round++) {
      signal.throwIfAborted();
      const trust = this.trust ?? (await this.connect());
      const seen = this.seenIn(trust.epoch);
      const { createMs } = draft;
      const step = { ...trust, seen, counter, head, tail, createMs, request };
      const result = await this.intake.accept(step);
      if (result.kind === "accepted") {
        this.see(trust.epoch, result.accept);
        this.raiseAhead(trust, counter, result);
        return { number: result.number, createMs, replayed: false };
      }
      if (result.kind === "replayed") {
        return { number: result.number, createMs: result.createMs, replayed: true };
      }
      if (!(await this.mend(trust, counter, result))) return undefined;
    }
    throw new ParleyError("COUNTERS_UNAVAILABLE", "numbers cannot be allocated now");
  }

  /**
   * The highest number that was given, 0 for none. A counter that the intake lacks is seeded, which
   * is how reads mend it after a loss; undefined where no such counter exists.
   */
  async value(counter: Counter): Promise<number | undefined> {
    for (let round = 0; round < ACCEPT_ROUNDS_MAX; round++) {
      const [count] = await this.intake.counts([counter]);
      if (count !== undefined) return count;
      const trust = this.trust ?? (await this.connect());
      if (!(await this.grant(trust, counter, { known: false }))) return undefined;
    }
    throw new ParleyError("COUNTERS_UNAVAILABLE", "numbers cannot be read now");
  }

  /** Held against the ledger, so that an answer that needs numbers can be refused beforehand. */
  async check(): Promise<void> {
    if (this.trust === undefined) await this.connect();
    else await this.intake.inspect();
  }

  /** Notes in the ledger how far this process has seen the running number go. */
  async witness(): Promise<void> {
    const { epoch, accepts } = this.seen;
    if (accepts === this.witnessed) return;
    await this.ledger.witness({ processId: this.processId, epoch, accepts });
    this.witnessed = accepts;
  }

  /**
   * Begins a new epoch though the intake may look trustworthy: for operators who know that it is an
   * older copy. Every counter is seeded above all its ceilings on its next use. Processes that run
   * are refused at their next step, and go on in the new epoch.
   */
  async renew(): Promise<{ before: number; epoch: number }> {
    const first = await this.ledger.get();
    const before = (await this.intake.inspect()).epoch;
    // One that is pending and not yet in the intake forgets all ceilings as a newer one would.
    const own = first.pending && before < first.epoch ? first.epoch : first.epoch + 1;
    const least = Math.max(own, before + 1);
    for (let round = 0; round < ACCEPT_ROUNDS_MAX; round++) {
      const found = await this.intake.inspect();
      const { epoch, pending } = await this.ledger.get();
      if (!pending && epoch >= least && found.epoch === epoch) return { before, epoch };
      if (!pending || found.epoch > epoch) {
        await this.ledger.begin({ after: epoch, above: found.epoch, runId: found.runId });
      }
      await this.installPending(found);
    }
    throw new ParleyError("COUNTERS_UNAVAILABLE", "no new epoch can be begun now");
  }

  /** Removes what stood in the way of a number; false where the counter does not exist. */
  private async mend(trust: Trust, counter: Counter, result: Acceptance): Promise<boolean> {
    switch (result.kind) {
      case "distrusted":
        this.distrust(trust);
        return true;
      case "unseeded":
        return this.grant(trust, counter, { known: result.known });
      case "exhausted":
        return this.grant(trust, counter, { known: true, ceiling: result.ceiling });
      case "full":
        throw new ParleyError("BACKLOG_FULL", "too much work waits to be stored");
      case "reused":
        throw new ParleyError(
          "REQUEST_ID_REUSED",
          "request_id was used before, for the same parent, with other content",
        );
      default:
        throw new Error(`nothing to mend after ${result.kind}`);
    }
  }

  /** One grant per counter at a time: callers that wait for the same one share it. */
  private grant(
    trust: Trust,
    counter: Counter,
    need: { known: boolean; ceiling?: number },
  ): Promise<boolean> {
    const name = `${counter.applicationToken}:${counter.chatNumber ?? ""}`;
    const underway = this.granting.get(name);
    if (underway !== undefined) return underway;
    const started = this.grantOnce(trust, counter, need).finally(() => this.granting.delete(name));
    this.granting.set(name, started);
    return started;
  }

  private async grantOnce(
    trust: Trust,
    counter: Counter,
    need: { known: boolean; ceiling?: number },
  ): Promise<boolean> {
    // Where the counter may not even exist nobody waits for anybody: the ledger says so at once.
    const first = need.ceiling === undefined && need.known;
    if (first && !(await this.maySeed(trust, counter))) return true;
    const granted = await this.ledger.grant({ counter, epoch: trust.epoch, ...need });
    if (granted === "unknown") return false;
    if (granted === "stale") {
      this.distrust(trust);
      return true;
    }
    const start = need.ceiling === undefined ? { start: granted.start } : {};
    await this.intake.grant({ ...trust, counter, ...start, ceiling: granted.ceiling });
    return true;
  }

  /**
   * One process seeds a counter, the others wait for it. Two seeds would be as safe, since no start
   * is ever shared, but the second makes numbers below its own start void that nobody lost.
   */
  private async maySeed(trust: Trust, counter: Counter): Promise<boolean> {
    const name = `seed:${trust.epoch}:${counter.applicationToken}:${counter.chatNumber ?? ""}`;
    if (await this.lease.acquire(name, SEED_LEASE_MS)) return true;
    await sleep(SEED_PAUSE_MS);
    return false;
  }

  /** Raises a ceiling before it is reached, so that no caller waits for the database. */
  private raiseAhead(trust: Trust, counter: Counter, at: { number: number; left: number }): void {
    const ceiling = at.number + at.left;
    if (at.left > Math.min(ceiling, CEILING_BLOCK.last) / 4) return;
    // A failure here is no caller's: whoever reaches the ceiling tries again and hears of it.
    this.grant(trust, counter, { known: true, ceiling }).catch(() => {});
  }

  private distrust(trust: Trust): void {
    if (this.trust === trust) this.trust = undefined;
  }

  private connect(): Promise<Trust> {
    this.connecting ??= this.connectOnce().finally(() => {
      this.connecting = undefined;
    });
    return this.connecting;
  }

  /** Trusts the intake as it is, or begins a new epoch in it. */
  private async connectOnce(): Promise<Trust> {
    for (let round = 0; round < ACCEPT_ROUNDS_MAX; round++) {
      const found = await this.intake.inspect();
      const ledger = await this.ledger.get();
      const accepts = Math.max(ledger.witnessed, this.seenIn(ledger.epoch));
      const trusted =
        !ledger.pending &&
        ledger.epoch > 0 &&
        found.epoch === ledger.epoch &&
        found.accepts >= accepts &&
        (found.runId === ledger.runId || found.durable);
      if (trusted) {
        if (found.runId !== ledger.runId) await this.ledger.adopt(found);
        this.trust = { connection: found.connection, epoch: found.epoch };
        return this.trust;
      }
      const step = { after: ledger.epoch, above: found.epoch, runId: found.runId };
      if (!ledger.pending || step.above > step.after) await this.ledger.begin(step);
      await this.installPending(found);
    }
    throw new ParleyError("COUNTERS_UNAVAILABLE", "numbers cannot be allocated now");
  }

  /** The second half of a new epoch: in the intake first, and only then it counts as begun. */
  private async installPending(found: { connection: number; runId: string }): Promise<void> {
    const { epoch, pending } = await this.ledger.get();
    if (!pending) return;
    await this.intake.install({ connection: found.connection, epoch });
    const after = await this.intake.inspect();
    if (after.connection === found.connection && after.epoch === epoch) {
      await this.ledger.confirm({ epoch, runId: found.runId });
    }
  }

  private seenIn(epoch: number): number {
    return this.seen.epoch === epoch ? this.seen.accepts : 0;
  }

  private see(epoch: number, accepts: number): void {
    if (epoch > this.seen.epoch) {
      this.seen = { epoch, accepts };
      this.witnessed = 0;
    } else if (epoch === this.seen.epoch && accepts > this.seen.accepts) {
      this.seen.accepts = accepts;
    }
  }
}

function counterOf(draft: JobDraft): Counter {
  const { applicationToken } = draft;
  return draft.kind === "chat"
    ? { applicationToken }
    : { applicationToken, chatNumber: draft.chatNumber };
}
