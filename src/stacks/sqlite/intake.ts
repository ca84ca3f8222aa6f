import { randomUUID } from "node:crypto";
import type {
  Acceptance,
  AcceptRequest,
  BatchRequest,
  ExternalName,
  Grant,
  Inspection,
  Intake,
} from "../../core/intake.ts";
import { completeDraft, decodeJob, jobIdOf } from "../../core/jobs.ts";
import { REQUEST_IDS_PER_JOB } from "../../core/limits.ts";
import type { Counter } from "../../core/ports.ts";
import { counterKeyOf, counterOfKey, requestHashOf, Told } from "../counters.ts";
import type { IntakeDb } from "./intake-db.ts";
import { prepareIntake } from "./intake-statements.ts";

export interface SqliteIntakeOptions {
  db: IntakeDb;
  /** How long a request id is remembered at least; at most twice as long. */
  requestIdTtlMs: number;
  /** Jobs from which on nothing is accepted. */
  backlogMax: number;
  now?: () => number;
}

/** A file is opened once by a process, so there is one connection for as long as it runs. */
const CONNECTION = 1;

/** Request ids of slices gone by that one accept takes away. */
const EXPIRED_MAX = 500;

/** Counters, jobs and request ids in SQLite; one transaction is the atomic step. */
export class SqliteIntake implements Intake {
  private readonly options: Required<SqliteIntakeOptions>;
  private readonly db: IntakeDb;
  private readonly sql: ReturnType<typeof prepareIntake>;
  private readonly runId = randomUUID();
  private readonly told = new Told();
  /** Where `changed` goes on, so that counters which cannot be copied yet do not hide the rest. */
  private changedAfter = "";

  constructor(options: SqliteIntakeOptions) {
    this.options = { now: Date.now, ...options };
    this.db = options.db;
    this.sql = prepareIntake(options.db);
  }

  async inspect(): Promise<Inspection> {
    const { epoch, accepts } = this.db.read(() => this.sql.ledger());
    return { connection: CONNECTION, runId: this.runId, epoch, accepts, durable: true };
  }

  async install({ connection, epoch }: { connection: number; epoch: number }): Promise<boolean> {
    if (connection !== CONNECTION) return false;
    return this.db.write(() => this.sql.install(epoch));
  }

  async accept(request: AcceptRequest): Promise<Acceptance> {
    if (request.connection !== CONNECTION) return { kind: "distrusted" };
    return this.db.write(() => this.acceptNow(request));
  }

  async acceptBatch(request: BatchRequest): Promise<Acceptance> {
    if (request.connection !== CONNECTION) return { kind: "distrusted" };
    return this.db.write(() => this.acceptNow(request), request.contents.length);
  }

  async findNamed(name: ExternalName): Promise<number | undefined> {
    return this.db.read(() => this.sql.named(name));
  }

  async freeName({ number, ...name }: ExternalName & { number: number }): Promise<void> {
    await this.db.write(() => this.sql.freeName(name, number));
  }

  async grant(grant: Grant): Promise<boolean> {
    if (grant.connection !== CONNECTION) return false;
    const { epoch, start, ceiling, mark = "", lost = false } = grant;
    const key = counterKeyOf(grant.counter);
    return this.db.write(() => {
      if (this.sql.ledger().epoch !== epoch) return false;
      if (start === undefined) this.sql.raise({ key, epoch, ceiling });
      else if (this.markAt(grant.counter) !== mark) return false;
      else {
        // As in redis/grant.lua: what is in use is not seeded again.
        const gone = mark !== "" || (lost && this.sql.counter(key) === undefined);
        if (!gone && this.sql.wasSeeded(key, epoch)) return true;
        this.sql.seed({ key, epoch, start, ceiling });
        this.sql.dropMark(key);
      }
      return true;
    });
  }

  async counts(counters: Counter[]): Promise<(number | undefined)[]> {
    return this.db.read(() => counters.map((one) => this.sql.counter(counterKeyOf(one))?.value));
  }

  async remove(counter: Counter, expected?: { value: number | undefined }): Promise<boolean> {
    const key = counterKeyOf(counter);
    return this.db.write(() => {
      if (expected !== undefined) {
        if (this.sql.counter(key)?.value !== expected.value) return false;
        if (isRemoved(this.sql.mark(key))) return true;
      }
      this.sql.remove(key);
      const whole = expected === undefined && counter.chatNumber === undefined;
      if (whole) {
        this.sql.removeChats(key);
        this.sql.dropNames(counter.applicationToken);
      }
      this.sql.setMark(key, `${expected === undefined ? REMOVED : "closed:"}${randomUUID()}`);
      return true;
    });
  }

  async markOf(counter: Counter): Promise<string> {
    return this.db.read(() => this.markAt(counter));
  }

  async erase(counters: Counter[]): Promise<void> {
    await this.db.write(() => {
      for (const counter of counters) {
        const key = counterKeyOf(counter);
        this.sql.remove(key);
        this.sql.forgetSeed(key);
        this.sql.dropMark(key);
        if (counter.chatNumber === undefined) this.sql.dropNames(counter.applicationToken);
      }
    });
  }

  async find(jobIds: string[]): ReturnType<Intake["find"]> {
    const rows = this.db.read(() => jobIds.map((id) => this.sql.job(id)));
    return rows.map((row) => row && { job: decodeJob(row.data), parked: row.parked === 1 });
  }

  async changed(limit: number): Promise<Counter[]> {
    const rows = this.db.read(() => {
      const later = this.sql.changed({ after: this.changedAfter, upTo: MAX_KEY, limit });
      const rest = limit - later.length;
      if (rest === 0 || this.changedAfter === "") return later;
      return [...later, ...this.sql.changed({ after: "", upTo: this.changedAfter, limit: rest })];
    });
    this.changedAfter = rows.length < limit ? "" : rows[rows.length - 1]!.key;
    return rows.map(({ key, changed }) => {
      this.told.note(key, changed);
      return counterOfKey(key);
    });
  }

  async forget(counters: Counter[]): Promise<void> {
    await this.db.write(() => {
      for (const key of counters.map(counterKeyOf)) {
        const change = this.told.take(key);
        if (change !== undefined) this.sql.forget(key, change);
      }
    });
  }

  async areChanged(counters: Counter[]): Promise<boolean[]> {
    return this.db.read(() => counters.map((one) => this.sql.isChanged(counterKeyOf(one))));
  }

  async backlog(): Promise<{ jobs: number; requestIds: number }> {
    return this.db.read(() => ({
      jobs: this.sql.ledger().jobs,
      requestIds: this.sql.requestIds(this.slice()),
    }));
  }

  /** The same steps in the same order as redis/accept.lua. */
  private acceptNow(request: AcceptRequest | BatchRequest): Acceptance {
    const ledger = this.sql.ledger();
    if (ledger.epoch !== request.epoch || ledger.accepts < request.seen) {
      return { kind: "distrusted" };
    }
    const key = counterKeyOf(request.counter);
    const slice = this.slice();
    const field = request.request && Buffer.from(requestHashOf(key, request.request.id), "hex");
    const given = field && this.sql.request(slice, field);
    if (given !== undefined) {
      if (given.digest !== request.request?.digest) return { kind: "reused" };
      const { number, create_ms: createMs } = given;
      return { kind: "replayed", number, createMs, accept: ledger.accepts };
    }
    const name = nameOf(request);
    const existing = name && this.sql.named(name);
    if (existing !== undefined) {
      return { kind: "existing", number: existing, accept: ledger.accepts };
    }
    if ("lookOnly" in request && request.lookOnly) return { kind: "unnamed" };
    const count = "contents" in request ? request.contents.length : 1;
    const ids = Math.floor(this.sql.requestIds(slice) / REQUEST_IDS_PER_JOB);
    if (ledger.jobs + ids + count > this.options.backlogMax) return { kind: "full" };
    const counter = this.sql.counter(key);
    if (counter?.ceiling_epoch !== ledger.epoch) {
      const mark = this.markAt(request.counter);
      const lost = counter === undefined && this.sql.wasSeeded(key, ledger.epoch);
      return { kind: "unseeded", value: counter?.value, lost, mark };
    }
    const ceiling = counter.ceiling!;
    const number = counter.value + 1;
    const left = ceiling - counter.value - count;
    if (left < 0) return { kind: "exhausted", ceiling };
    this.leaveJobs(request, { key, number, accept: ledger.accepts + 1, count });
    if (name !== undefined) this.sql.setName(name, number);
    if (field !== undefined) {
      const { createMs, request: sent } = request;
      this.sql.remember(slice, { field, number, createMs, digest: sent!.digest });
      this.sql.expire(slice, EXPIRED_MAX);
    }
    return { kind: "accepted", number, accept: ledger.accepts + count, left };
  }

  private leaveJobs(
    request: AcceptRequest | BatchRequest,
    given: { key: string; number: number; accept: number; count: number },
  ): void {
    const { epoch, counter, createMs, head, tail } = request;
    const { key, count } = given;
    const contents = "contents" in request ? request.contents : [""];
    for (const [at, content] of contents.entries()) {
      const [number, accept] = [given.number + at, given.accept + at];
      const data = completeDraft({ head: head + content, tail }, { number, epoch, accept });
      this.sql.insertJob({ id: jobIdOf({ ...counter, number }), data, createMs });
    }
    const last = { number: given.number + count - 1, accept: given.accept + count - 1 };
    this.sql.count({ key, epoch, ...last, jobs: count });
    if (counter.chatNumber === undefined) this.sql.insertCounter(`${key}-${given.number}`);
  }

  /** What was left where the counter was, or where its application was, which took it along. */
  private markAt(counter: Counter): string {
    const own = this.sql.mark(counterKeyOf(counter));
    if (own !== undefined || counter.chatNumber === undefined) return own ?? "";
    const { applicationToken } = counter;
    const above = this.sql.mark(counterKeyOf({ applicationToken }));
    return isRemoved(above) ? above! : "";
  }

  /** The slice of this moment, and the one before, which is looked at too. */
  private slice(): { startMs: number; beforeMs: number } {
    const ttl = this.options.requestIdTtlMs;
    const startMs = Math.floor(this.options.now() / ttl) * ttl;
    return { startMs, beforeMs: startMs - ttl };
  }
}

function nameOf(request: AcceptRequest | BatchRequest): ExternalName | undefined {
  if (!("externalId" in request) || request.externalId === undefined) return undefined;
  return {
    applicationToken: request.counter.applicationToken,
    externalId: request.externalId,
  };
}

const REMOVED = "removed:";

function isRemoved(mark: string | undefined): boolean {
  return mark?.startsWith(REMOVED) ?? false;
}

/** Behind every counter's key. */
const MAX_KEY = "B";
