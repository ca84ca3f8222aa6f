import type { Call } from "./core.ts";

/** The trace that a call is part of, as the rules see it. */
export interface Trace {
  /** W3C's `traceparent` of the call, for what goes on after it was answered. */
  readonly parent: string;
  /** Runs a step of the call under a name of its own. */
  step<T>(name: string, run: () => Promise<T>): Promise<T>;
}

/** Takes the step that gives numbers; where the call is traced its jobs carry the trace on. */
export function accepting<Draft extends object, T>(
  draft: Draft,
  { trace }: Call,
  step: (draft: Draft & { trace?: string | undefined }) => Promise<T>,
): Promise<T> {
  if (trace === undefined) return step(draft);
  return trace.step("accept", () => step({ ...draft, trace: trace.parent }));
}
