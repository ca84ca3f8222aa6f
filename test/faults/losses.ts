/** What may happen to Redis in a run. */
export type Mode =
  /** Processes die and connections are lost; Redis keeps everything. */
  | "durable"
  /** Redis does not always write to disk, so a crash loses what came last; and it is emptied. */
  | "everysec"
  /** Copies of any age are put back, by operators who then begin an epoch; and it is emptied. */
  | "old"
  /** Redis writes everything to disk, and the end of its file is lost all the same. */
  | "cut";

/** How Redis loses what it had, in each mode. */
export const LOSSES = {
  durable: [],
  everysec: ["flush", "tail", "evict"],
  old: ["flush", "old"],
  cut: ["tail"],
} as const;
