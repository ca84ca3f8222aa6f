/** What every message says, where a measurement does not need other words. */
export const BODY =
  "Have you seen that the river is frozen over again? We could skate to the mill.";

/** What the process that sends the load is told to do. */
export interface Order {
  target: string;
  applicationToken: string;
  /** Messages go to the chats 1 to this in turn. */
  chats: number;
  /** Messages of one call, where they go in batches. */
  batch?: number | undefined;
  pace: Pace;
}

/**
 * `inFlight` calls at a time for so long, or until so many were sent, each sent when the one before
 * it was answered; or so many each second, whatever was answered.
 */
export type Pace =
  | { inFlight: number; ms: number }
  | { inFlight: number; calls: number }
  | { perSecond: number; ms: number };

/** What became of it; times in milliseconds. */
export interface Report {
  answered: number;
  ms: number;
  p50: number;
  p99: number;
  /** How often which error was answered. */
  failures: Record<string, number>;
}
