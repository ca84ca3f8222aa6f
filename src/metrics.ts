import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "@prometheus-io/client";
import type { AppliedBatch, CallSeen, ChoreSeen, Events } from "./events.ts";
import type { Reading } from "./gauges.ts";
import { METRICS, type MetricName } from "./metric-names.ts";

/**
 * Counts the events of one system, and tells them to Prometheus. Nothing is global: each system in
 * a process has its own registry. No label comes from a caller, so their number is bounded.
 */
export class Metrics implements Events {
  private readonly registry = new Registry();
  private readonly counted = countersOf(this.registry);
  /** Set anew at each scrape. */
  private readonly read = new Map<MetricName, Gauge<string>>();
  private readonly gauges: () => Promise<Reading[]>;

  /** `gauges` reads what is not counted here. */
  constructor(gauges: () => Promise<Reading[]>) {
    this.gauges = gauges;
    collectDefaultMetrics({ register: this.registry });
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  call(method: string): CallSeen {
    const { calls, callSeconds, inFlight } = this.counted;
    const beganMs = performance.now();
    inFlight.inc({ method });
    return {
      trace: undefined,
      ended: (code) => {
        inFlight.dec({ method });
        calls.inc({ method, code });
        callSeconds.observe({ method }, (performance.now() - beganMs) / 1_000);
      },
    };
  }

  batch(batch: AppliedBatch): void {
    const { jobs, outcomes, messages, lacking, beganMs, persistedMs, indexedMs } = batch;
    const { batchJobs, batchSeconds, tried, persisted, searchable } = this.counted;
    batchJobs.observe(jobs.length);
    batchSeconds.observe({ step: "persist" }, secondsFrom(beganMs, persistedMs));
    if (messages.length > 0) {
      batchSeconds.observe({ step: "index" }, secondsFrom(persistedMs, indexedMs));
    }
    // A failure is counted where its job fails; here it begins, so that a rate can see the first.
    tried.inc({ outcome: "failed" }, 0);
    jobs.forEach((job, at) => {
      const { kind: outcome } = outcomes[at]!;
      if (outcome === "failed") return;
      tried.inc({ outcome });
      if (outcome !== "inserted") return;
      persisted.observe({ kind: job.kind }, secondsFrom(job.createMs, persistedMs));
    });
    // A message that the index lacks now is found later, which is the repair chore's to say.
    const late = new Set(lacking);
    for (const message of messages) {
      if (!late.has(message)) searchable.observe(secondsFrom(message.createMs, indexedMs));
    }
  }

  jobFailed(): void {
    this.counted.tried.inc({ outcome: "failed" });
  }

  chore({ name: chore, ms, done }: ChoreSeen): void {
    const { choreRuns, choreSeconds, choreDone } = this.counted;
    const failed = done === undefined;
    // The first run begins both, so that a rate can see the first failure.
    choreRuns.inc({ chore, outcome: "done" }, failed ? 0 : 1);
    choreRuns.inc({ chore, outcome: "failed" }, failed ? 1 : 0);
    if (failed) return;
    choreSeconds.observe({ chore }, ms / 1_000);
    choreDone.inc({ chore }, done);
  }

  /** Everything as Prometheus reads it; one scrape at a time. */
  async scrape(): Promise<string> {
    const readings = await this.gauges();
    for (const [name, gauge] of this.read) {
      // One without labels would be reset to 0, and not absent.
      if (METRICS[name].labels === undefined) gauge.remove({});
      else gauge.reset();
    }
    for (const { name, labels, value } of readings) this.gaugeOf(name).set(labels, value);
    return this.registry.metrics();
  }

  private gaugeOf(name: MetricName): Gauge<string> {
    const present = this.read.get(name);
    if (present !== undefined) return present;
    const made = new Gauge(settingsOf(this.registry, name));
    this.read.set(name, made);
    return made;
  }
}

/** Clocks of two machines differ, and a clock can be set back: no time is below zero. */
function secondsFrom(fromMs: number, toMs: number): number {
  return Math.max(0, toMs - fromMs) / 1_000;
}

function settingsOf(registry: Registry, name: MetricName) {
  const { help, labels: labelNames = [] } = METRICS[name];
  return { name, help, labelNames, registers: [registry] };
}

function countersOf(registry: Registry) {
  const counter = (name: MetricName) => new Counter(settingsOf(registry, name));
  const histogram = (name: MetricName) => {
    const { buckets = [] } = METRICS[name];
    return new Histogram({ ...settingsOf(registry, name), buckets });
  };
  return {
    calls: counter("parley_calls_total"),
    callSeconds: histogram("parley_call_duration_seconds"),
    inFlight: new Gauge(settingsOf(registry, "parley_calls_in_flight")),
    tried: counter("parley_jobs_tried_total"),
    batchJobs: histogram("parley_batch_jobs"),
    batchSeconds: histogram("parley_batch_duration_seconds"),
    persisted: histogram("parley_accepted_to_persisted_seconds"),
    searchable: histogram("parley_accepted_to_searchable_seconds"),
    choreRuns: counter("parley_chore_runs_total"),
    choreSeconds: histogram("parley_chore_duration_seconds"),
    choreDone: counter("parley_chore_done_total"),
  };
}
