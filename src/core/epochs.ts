import { ParleyError } from "../errors.ts";
import type { Inspection, Intake } from "./intake.ts";
import { ACCEPT_ROUNDS_MAX } from "./limits.ts";
import type { Ledger } from "./ports.ts";

/** The connection and epoch that this process may allocate numbers in. */
export interface Trust {
  connection: number;
  epoch: number;
}

type LedgerState = Awaited<ReturnType<Ledger["get"]>>;

/**
 * Which life of the intake's data this process may allocate numbers in. The intake is trusted only
 * after it was held against the ledger; else a new epoch begins.
 */
export class Epochs {
  private readonly intake: Intake;
  private readonly ledger: Ledger;
  private readonly processId: string;
  private readonly pause: () => Promise<void>;
  private trust: Trust | undefined;
  private connecting: Promise<Trust> | undefined;
  /** The highest running number that this process saw, and in which epoch. */
  private seen = { epoch: 0, accepts: 0 };
  private witnessed = 0;

  /**
   * `pause` resolves when every process that lives has noted in the ledger what it saw before the
   * pause began.
   */
  constructor(parts: {
    intake: Intake;
    ledger: Ledger;
    processId: string;
    pause: () => Promise<void>;
  }) {
    this.intake = parts.intake;
    this.ledger = parts.ledger;
    this.processId = parts.processId;
    this.pause = parts.pause;
  }

  /** The trust of this moment, or one that comes of holding the intake against the ledger. */
  async trusted(): Promise<Trust> {
    return this.trust ?? this.connect();
  }

  /** Takes it back, where it is still the one of this moment. */
  distrust(trust: Trust): void {
    if (this.trust === trust) this.trust = undefined;
  }

  /** The highest running number that this process saw in an epoch. */
  seenIn(epoch: number): number {
    return this.seen.epoch === epoch ? this.seen.accepts : 0;
  }

  see(epoch: number, accepts: number): void {
    if (epoch > this.seen.epoch) {
      this.seen = { epoch, accepts };
      this.witnessed = 0;
    } else if (epoch === this.seen.epoch && accepts > this.seen.accepts) {
      this.seen.accepts = accepts;
    }
  }

  /** Notes in the ledger how far this process has seen the running number go. */
  async witness(): Promise<void> {
    const { epoch, accepts } = this.seen;
    if (accepts === this.witnessed) return;
    await this.ledger.witness({ processId: this.processId, epoch, accepts });
    if (this.seen.epoch === epoch) this.witnessed = accepts;
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

  private connect(): Promise<Trust> {
    this.connecting ??= this.connectOnce().finally(() => {
      this.connecting = undefined;
    });
    return this.connecting;
  }

  /** Trusts the intake as it is, or begins a new epoch in it. */
  private async connectOnce(): Promise<Trust> {
    let waitedFor = "";
    for (let round = 0; round < ACCEPT_ROUNDS_MAX; round++) {
      const found = await this.intake.inspect();
      const ledger = await this.ledger.get();
      const restarted = found.epoch === ledger.epoch && found.runId !== ledger.runId;
      if (restarted && found.durable && waitedFor !== found.runId) {
        // Its last accepts may be lost all the same, and seen by another process alone.
        await this.witness();
        await this.pause();
        waitedFor = found.runId;
        continue;
      }
      const verdict = await this.judge(found, ledger);
      if (verdict === "look again") continue;
      if (verdict === "trusted") {
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

  private async judge(
    found: Inspection,
    ledger: LedgerState,
  ): Promise<"trusted" | "distrusted" | "look again"> {
    if (ledger.pending || ledger.epoch === 0 || found.epoch !== ledger.epoch) return "distrusted";
    if (found.runId !== ledger.runId && !found.durable) return "distrusted";
    const accepts = Math.max(ledger.witnessed, this.seenIn(ledger.epoch));
    if (found.accepts >= accepts) return "trusted";
    // Others may have gone on between the two looks. A third one, on the same connection so that
    // nothing was restarted meanwhile, tells that from accepts which were lost.
    const now = await this.intake.inspect();
    if (now.connection !== found.connection || now.epoch !== found.epoch) return "look again";
    return now.accepts >= accepts ? "trusted" : "distrusted";
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
}
