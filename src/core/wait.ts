import { setTimeout as sleep } from "node:timers/promises";
import { State } from "../../gen/parley/v1/state.ts";
import { isUnavailable } from "../errors.ts";
import type { Call } from "./core.ts";
import { WAIT_ANSWER_BEFORE_MS, WAIT_POLL_MS } from "./limits.ts";

/** The looks that tell whether a state is reached. */
interface Looks {
  persisted(): Promise<boolean>;
  searchable(): Promise<boolean>;
}

/**
 * Waits until the state is reached or the call's time is nearly up, and says which state is. The
 * number is given by then, so neither slowness nor a part that is away makes this an error.
 */
export async function waitForState(wanted: State, call: Call, looks: Looks): Promise<State> {
  const endMs = call.deadlineMs - WAIT_ANSWER_BEFORE_MS;
  let reached: State = State.STATE_ACCEPTED;
  let pauseMs = WAIT_POLL_MS.first;
  while (reached < wanted) {
    const look = reached === State.STATE_ACCEPTED ? looks.persisted : looks.searchable;
    if (await seenBy(endMs, look)) {
      reached = reached === State.STATE_ACCEPTED ? State.STATE_PERSISTED : State.STATE_SEARCHABLE;
      if (reached < wanted && Date.now() < endMs) continue;
    }
    const leftMs = endMs - Date.now();
    if (reached >= wanted || leftMs <= 0 || call.signal.aborted) break;
    await sleep(Math.min(pauseMs, leftMs));
    pauseMs = Math.min(pauseMs * 2, WAIT_POLL_MS.last);
  }
  return reached;
}

/**
 * Does what the caller need not wait for, and returns when it is done, when a part that it needs is
 * away, or when the time for it is over; then it goes on by itself.
 */
export async function doInTime(
  forMs: number,
  call: Call,
  work: () => Promise<void>,
): Promise<void> {
  const endMs = Math.min(Date.now() + forMs, call.deadlineMs - WAIT_ANSWER_BEFORE_MS);
  await seenBy(endMs, async () => {
    await work();
    return true;
  });
}

/** False too where the look is not answered in time, or what it looks at is away. */
async function seenBy(endMs: number, look: () => Promise<boolean>): Promise<boolean> {
  const done = new AbortController();
  const late = sleep(Math.max(0, endMs - Date.now()), false, { signal: done.signal });
  try {
    return await Promise.race([look(), late]);
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    return false;
  } finally {
    // Whichever came second is heard by nobody.
    late.catch(() => {});
    done.abort();
  }
}
