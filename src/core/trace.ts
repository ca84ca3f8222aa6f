import type { Call, Core } from "./core.ts";
import type { JobDraft } from "./jobs.ts";
import type { Given } from "./numbering.ts";

/** The trace that a call is part of, as the rules see it. */
export interface Trace {
  /** W3C's `traceparent` of the call, for what goes on after it was answered. */
  readonly parent: string;
  /** Runs a step of the call under a name of its own. */
  step<T>(name: string, run: () => Promise<T>): Promise<T>;
}

/** Allocates a number and leaves the job; where the call is traced the job carries the trace on. */
export function accept(
  core: Core,
  draft: JobDraft,
  request: { id: string; digest: string } | undefined,
  { signal, trace }: Call,
): Promise<Given | undefined> {
  if (trace === undefined) return core.numbering.accept(draft, request, signal);
  const traced = { ...draft, trace: trace.parent };
  return trace.step("accept", () => core.numbering.accept(traced, request, signal));
}
