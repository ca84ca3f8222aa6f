import { setTimeout as sleep } from "node:timers/promises";
import {
  type Attributes,
  type Context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { type ExportResult, ExportResultCode, parseTraceParent } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Job } from "./core/jobs.ts";
import type { Trace } from "./core/trace.ts";
import type { AppliedBatch, CallSeen, Events, Headers } from "./events.ts";
import type { Logger } from "./log.ts";
import type { Process } from "./process.ts";

/** Spans that wait for the collector; what comes beyond them is dropped. */
const SPANS_MAX = 8_192;
const SPANS_PER_EXPORT = 512;
const EXPORT_EVERY_MS = 1_000;
/** A collector that does not answer in time is asked again with the next spans only. */
const EXPORT_TIMEOUT_MS = 2_000;
/** How long what is left may take to be sent when the process stops. */
const FLUSH_MS = 2_000;
/** Jobs of a batch that its span names. */
const LINKS_MAX = 64;

export interface TracesOptions {
  /** Of a collector, such as `http://127.0.0.1:4318`. */
  endpoint: string;
  /** The part of the calls without a `traceparent` that are traced. */
  ratio: number;
  processId: string;
  /** Which parts run in this process. */
  parts: string[];
}

const UNTRACED: CallSeen = { trace: undefined, ended: () => {} };

/**
 * Traces calls, and the work that they leave. A caller's `traceparent` decides whether a call is
 * traced; without one, chance does. Where it is not, nothing is made for it. Nothing is global:
 * spans are handed on by hand. They hold no body, name, author or key.
 */
export class Traces implements Events, Process {
  private readonly ratio: number;
  private readonly provider: TracerProvider;
  private readonly tracer: Tracer;

  constructor(parts: { log: Logger }, options: TracesOptions) {
    this.ratio = options.ratio;
    const exporter = new Reported(options.endpoint, parts.log);
    this.provider = new TracerProvider({
      // Whether to trace is decided before a span is begun.
      sampler: new AlwaysOnSampler(),
      resource: resourceFromAttributes({
        "service.name": "parley",
        "service.instance.id": options.processId,
        "parley.parts": options.parts.join(","),
      }),
      spanLimits: { linkCountLimit: LINKS_MAX },
      spanProcessors: [
        new BatchSpanProcessor({
          exporter,
          maxQueueSize: SPANS_MAX,
          maxExportBatchSize: SPANS_PER_EXPORT,
          scheduledDelayMillis: EXPORT_EVERY_MS,
          exportTimeoutMillis: EXPORT_TIMEOUT_MS,
        }),
      ],
    });
    this.tracer = this.provider.getTracer("parley");
  }

  async start(): Promise<void> {}

  /** Sends what is left, as far as the collector takes it in time. */
  async stop(): Promise<void> {
    const sent = this.provider.shutdown().catch(() => {});
    await Promise.race([sent, sleep(FLUSH_MS, undefined, { ref: false })]);
  }

  call(method: string, headers: Headers): CallSeen {
    const [header] = headers.get("traceparent");
    const parent = typeof header === "string" ? parentOf(header) : undefined;
    const wanted = parent === undefined ? Math.random() < this.ratio : isSampled(parent);
    if (!wanted) return UNTRACED;
    const [service = "", name = ""] = method.split("/");
    const attributes = { "rpc.service": service, "rpc.method": name };
    const options = { kind: SpanKind.SERVER, attributes };
    const span = this.tracer.startSpan(method, options, contextOf(parent));
    return {
      trace: new SpanTrace(this.tracer, span),
      ended: (code) => {
        span.setAttribute("rpc.response.status_code", code);
        if (FAULTS.has(code)) span.setStatus({ code: SpanStatusCode.ERROR });
        span.end();
      },
    };
  }

  batch(batch: AppliedBatch): void {
    const traced: { job: Job; at: number; parent: SpanContext }[] = [];
    batch.jobs.forEach((job, at) => {
      const parent = job.trace === undefined ? undefined : parentOf(job.trace);
      if (parent !== undefined && isSampled(parent)) traced.push({ job, at, parent });
    });
    if (traced.length === 0) return;
    const { jobs, outcomes, messages, lacking, beganMs, persistedMs, indexedMs } = batch;
    const whole = this.record("batch", ROOT_CONTEXT, {
      fromMs: beganMs,
      toMs: indexedMs,
      attributes: { "parley.jobs": jobs.length },
      links: traced.slice(0, LINKS_MAX).map(({ parent }) => ({ context: parent })),
    });
    const links = [{ context: whole.spanContext() }];
    const indexed = new Set<Job>(messages);
    const late = new Set<Job>(lacking);
    for (const { job, at, parent } of traced) {
      const { kind } = outcomes[at]!;
      const context = contextOf(parent);
      const attributes = { "parley.kind": job.kind, "parley.outcome": kind };
      const persist = { fromMs: beganMs, toMs: persistedMs, failed: kind === "failed" };
      this.record("persist", context, { ...persist, attributes, links });
      if (!indexed.has(job)) continue;
      const index = { fromMs: persistedMs, toMs: indexedMs, failed: late.has(job) };
      this.record("index", context, { ...index, links });
    }
  }

  jobFailed(): void {}

  chore(): void {}

  /** A span of what is over already. */
  private record(
    name: string,
    context: Context,
    step: {
      fromMs: number;
      toMs: number;
      failed?: boolean;
      attributes?: Attributes;
      links: Link[];
    },
  ): Span {
    const { fromMs: startTime, toMs, failed = false, attributes = {}, links } = step;
    const kind = SpanKind.CONSUMER;
    const span = this.tracer.startSpan(name, { kind, startTime, attributes, links }, context);
    if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(toMs);
    return span;
  }
}

/** Statuses that are the server's fault, as OpenTelemetry's conventions have them. */
const FAULTS = new Set(["INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED"]);

class SpanTrace implements Trace {
  private readonly tracer: Tracer;
  private readonly span: Span;

  constructor(tracer: Tracer, span: Span) {
    this.tracer = tracer;
    this.span = span;
  }

  get parent(): string {
    const { traceId, spanId } = this.span.spanContext();
    return `00-${traceId}-${spanId}-01`;
  }

  async step<T>(name: string, run: () => Promise<T>): Promise<T> {
    const span = this.tracer.startSpan(name, {}, trace.setSpan(ROOT_CONTEXT, this.span));
    try {
      return await run();
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  }
}

/** Undefined where it is none. */
function parentOf(traceparent: string): SpanContext | undefined {
  const parent = parseTraceParent(traceparent);
  return parent === null ? undefined : { ...parent, isRemote: true };
}

function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0;
}

function contextOf(parent: SpanContext | undefined): Context {
  return parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
}

/** The exporter, which says once when the collector does not answer, and once when it does. */
class Reported implements SpanExporter {
  private readonly exporter: OTLPTraceExporter;
  private readonly log: Logger;
  private failing = false;

  constructor(endpoint: string, log: Logger) {
    const url = `${endpoint.replace(/\/$/, "")}/v1/traces`;
    this.exporter = new OTLPTraceExporter({ url, timeoutMillis: EXPORT_TIMEOUT_MS });
    this.log = log;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.exporter.export(spans, (result) => {
      const failed = result.code !== ExportResultCode.SUCCESS;
      if (failed && !this.failing) {
        this.log.warn({ err: result.error }, "the collector of traces is away; spans are dropped");
      } else if (!failed && this.failing) this.log.info("the collector of traces is back");
      this.failing = failed;
      done(result);
    });
  }

  shutdown(): Promise<void> {
    return this.exporter.shutdown();
  }
}
