import { readdirSync } from "node:fs";
import {
  constants,
  monitorEventLoopDelay,
  type PerformanceEntry,
  PerformanceObserver,
} from "node:perf_hooks";
import type { Reading } from "./gauges.ts";

const KINDS = new Map([
  [constants.NODE_PERFORMANCE_GC_MAJOR, "major"],
  [constants.NODE_PERFORMANCE_GC_MINOR, "minor"],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, "incremental"],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, "weakcb"],
]);

const NANOSECONDS = 1e9;
/** How often the loop is looked at; a look that is not late comes so long after the last. */
const LOOK_MS = 10;

/** What Node says of itself, under the names that dashboards for Node know. */
export class Runtime {
  private readonly delay = monitorEventLoopDelay({ resolution: LOOK_MS });
  private readonly collections: PerformanceObserver;

  /** Tells each garbage collection as it comes; everything else is read. */
  constructor(collected: (kind: string, seconds: number) => void) {
    this.delay.enable();
    this.collections = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { duration, detail } = entry as PerformanceEntry & { detail: { kind: number } };
        collected(KINDS.get(detail.kind) ?? "other", duration / 1_000);
      }
    });
    this.collections.observe({ entryTypes: ["gc"] });
  }

  read(): Reading[] {
    const { user, system } = process.cpuUsage();
    const memory = process.memoryUsage();
    const startMs = performance.timeOrigin;
    // Nothing was measured where the loop did not turn since the last time.
    const looks = this.delay.count > 0 ? this.delay : undefined;
    const lag99 = lagOf(looks?.percentile(99));
    const lagMax = lagOf(looks?.max);
    this.delay.reset();
    return [
      { name: "process_cpu_seconds_total", value: (user + system) / 1e6 },
      { name: "process_resident_memory_bytes", value: memory.rss },
      { name: "process_start_time_seconds", value: startMs / 1_000 },
      ...openFiles(),
      { name: "nodejs_heap_size_total_bytes", value: memory.heapTotal },
      { name: "nodejs_heap_size_used_bytes", value: memory.heapUsed },
      { name: "nodejs_external_memory_bytes", value: memory.external },
      { name: "nodejs_eventloop_lag_p99_seconds", value: lag99 },
      { name: "nodejs_eventloop_lag_max_seconds", value: lagMax },
    ];
  }

  stop(): void {
    this.delay.disable();
    this.collections.disconnect();
  }
}

function lagOf(nanoseconds = 0): number {
  return Math.max(0, nanoseconds / NANOSECONDS - LOOK_MS / 1_000);
}

function openFiles(): Reading[] {
  try {
    return [{ name: "process_open_fds", value: readdirSync("/proc/self/fd").length }];
  } catch {
    return [];
  }
}
