import type { Attributes, Counter, Histogram, Meter, UpDownCounter } from "@opentelemetry/api";
import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import {
  AggregationTemporality,
  DataPointType,
  MeterProvider,
  type MetricData,
} from "@opentelemetry/sdk-metrics";
import type { AppliedBatch, CallSeen, ChoreSeen, Events } from "./events.ts";
import type { Reading } from "./gauges.ts";
import { METRICS, type MetricName } from "./metric-names.ts";
import { Runtime } from "./runtime.ts";

/** A scrape waits so long for the counts of this process, which are in memory. */
const COLLECT_MS = 1_000;

/**
 * Counts the events of one system, and tells them to Prometheus. Nothing is global: each system in
 * a process has its own. No label comes from a caller, so their number is bounded.
 */
export class Metrics implements Events {
  private readonly reader = new PrometheusExporter({ preventServerStart: true });
  private readonly serializer = new PrometheusSerializer("", false, undefined, true, true);
  private readonly counted: ReturnType<typeof instrumentsOf>;
  private readonly runtime: Runtime;
  private readonly gauges: () => Promise<Reading[]>;

  /** `gauges` reads what is not counted here, at each scrape. */
  constructor(gauges: () => Promise<Reading[]>) {
    this.gauges = gauges;
    const meter = new MeterProvider({ readers: [this.reader] }).getMeter("parley");
    this.counted = instrumentsOf(meter);
    this.runtime = new Runtime((kind, seconds) => this.counted.gc.record(seconds, { kind }));
  }

  call(method: string): CallSeen {
    const { calls, callSeconds, inFlight } = this.counted;
    const beganMs = performance.now();
    inFlight.add(1, { method });
    return {
      trace: undefined,
      ended: (code) => {
        inFlight.add(-1, { method });
        calls.add(1, { method, code });
        callSeconds.record((performance.now() - beganMs) / 1_000, { method });
      },
    };
  }

  batch(batch: AppliedBatch): void {
    const { jobs, outcomes, messages, lacking, beganMs, persistedMs, indexedMs } = batch;
    const { batchJobs, batchSeconds, jobsDone, persisted, searchable } = this.counted;
    batchJobs.record(jobs.length);
    batchSeconds.record(secondsFrom(beganMs, persistedMs), PERSIST);
    if (messages.length > 0) batchSeconds.record(secondsFrom(persistedMs, indexedMs), INDEX);
    // So that a rate can see the first failure.
    jobsDone.add(0, OUTCOMES.failed);
    jobs.forEach((job, at) => {
      const { kind } = outcomes[at]!;
      if (kind === "failed") return;
      jobsDone.add(1, OUTCOMES[kind]);
      if (kind !== "inserted") return;
      persisted.record(secondsFrom(job.createMs, persistedMs), KINDS[job.kind]);
    });
    // A message that the index lacks now is found later, which is the repair chore's to say.
    const late = new Set(lacking);
    for (const message of messages) {
      if (!late.has(message)) searchable.record(secondsFrom(message.createMs, indexedMs));
    }
  }

  jobFailed(): void {
    this.counted.jobsDone.add(1, OUTCOMES.failed);
  }

  chore({ name: chore, ms, done }: ChoreSeen): void {
    const { choreRuns, choreSeconds, choreDone } = this.counted;
    const failed = done === undefined;
    // The first run begins both, so that a rate can see the first failure.
    choreRuns.add(failed ? 0 : 1, { chore, outcome: "done" });
    choreRuns.add(failed ? 1 : 0, { chore, outcome: "failed" });
    if (failed) return;
    choreSeconds.record(ms / 1_000, { chore });
    choreDone.add(done, { chore });
  }

  /** Everything as Prometheus reads it. */
  async scrape(): Promise<string> {
    const [collected, readings] = await Promise.all([
      this.reader.collect({ timeoutMillis: COLLECT_MS }),
      this.gauges(),
    ]);
    const { resource, scopeMetrics } = collected.resourceMetrics;
    const metrics = dataOf([...readings, ...this.runtime.read()]);
    const all = [...scopeMetrics, { scope: { name: "parley" }, metrics }];
    return `${this.serializer.serialize({ resource, scopeMetrics: all })}\n`;
  }

  async stop(): Promise<void> {
    this.runtime.stop();
    await this.reader.shutdown();
  }
}

const PERSIST = { step: "persist" };
const INDEX = { step: "index" };
const KINDS = { chat: { kind: "chat" }, message: { kind: "message" } };
const OUTCOMES = {
  inserted: { outcome: "inserted" },
  present: { outcome: "present" },
  deleted: { outcome: "deleted" },
  failed: { outcome: "failed" },
};

/** Clocks of two machines differ, and a clock can be set back: no time is below zero. */
function secondsFrom(fromMs: number, toMs: number): number {
  return Math.max(0, toMs - fromMs) / 1_000;
}

function instrumentsOf(meter: Meter) {
  const counter = (name: MetricName): Counter<Attributes> =>
    meter.createCounter(name, { description: METRICS[name].help });
  const upDown = (name: MetricName): UpDownCounter<Attributes> =>
    meter.createUpDownCounter(name, { description: METRICS[name].help });
  const histogram = (name: MetricName): Histogram<Attributes> => {
    const { help: description, buckets: explicitBucketBoundaries = [] } = METRICS[name];
    return meter.createHistogram(name, { description, advice: { explicitBucketBoundaries } });
  };
  return {
    calls: counter("parley_calls_total"),
    callSeconds: histogram("parley_call_duration_seconds"),
    inFlight: upDown("parley_calls_in_flight"),
    jobsDone: counter("parley_jobs_tried_total"),
    batchJobs: histogram("parley_batch_jobs"),
    batchSeconds: histogram("parley_batch_duration_seconds"),
    persisted: histogram("parley_accepted_to_persisted_seconds"),
    searchable: histogram("parley_accepted_to_searchable_seconds"),
    choreRuns: counter("parley_chore_runs_total"),
    choreSeconds: histogram("parley_chore_duration_seconds"),
    choreDone: counter("parley_chore_done_total"),
    gc: histogram("nodejs_gc_duration_seconds"),
  };
}

/**
 * Readings as OpenTelemetry has them. Its own observable gauges would not do: it tells the last
 * value of one for ever, also when that can no longer be read.
 */
function dataOf(readings: Reading[]): MetricData[] {
  const byName = new Map<MetricName, Reading[]>();
  for (const one of readings) {
    const name = one.name as MetricName;
    byName.set(name, [...(byName.get(name) ?? []), one]);
  }
  return [...byName].map(([name, ones]): MetricData => {
    const { help: description, type } = METRICS[name];
    const sum = type === "counter";
    return {
      descriptor: { name, description, unit: "", valueType: 1 },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      ...(sum
        ? { dataPointType: DataPointType.SUM, isMonotonic: true }
        : { dataPointType: DataPointType.GAUGE }),
      dataPoints: ones.map(({ labels = {}, value }) => {
        return { attributes: labels, value, startTime: [0, 0], endTime: [0, 0] };
      }),
    };
  });
}
