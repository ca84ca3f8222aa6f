// Every name in Redis but the counters' own, which stand in ../counters.ts.

/**
 * Ours. A hash: `epoch`, `accepts`, the running number of its last accept, `whole`, the same as the
 * end of that accept noted it, and for each counter's key its ceiling in that epoch. One hash, so
 * that nothing can lose a ceiling and keep the epoch.
 */
export const LEDGER = "parley:ledger";
/** A hash: the counter's key and its last change, until that change was copied into the rows. */
export const DIRTY = "parley:dirty";
/** Hashes of request ids, `<prefix><slice of time>`; each vanishes as a whole. */
export const REQUESTS_PREFIX = "parley:requests:";
/** Hashes of the external ids of an application's chats and their numbers, `<prefix><token>`. */
export const EXTERNAL_PREFIX = "parley:external:";
/** Leases, `<prefix><name>`. */
export const LEASE_PREFIX = "parley:lease:";
/** A channel: hints of chats in which something is new, see wakeup.ts. */
export const WAKEUP_CHANNEL = "parley:wakeup";
/** A sorted set: jobs whose worker ended while they were in work, by level, see trial.lua. */
export const SUSPECTS = "parley:suspects";
/** Who tries suspects just now, and a set: the suspects that it has in work. */
export const TRIAL = "parley:trial";
export const TRIED = "parley:tried";
/** There until workers are asked again whether they live. */
export const STALLS = "parley:stalls";

/** Bee-Queue makes the names of its keys from these two. */
export const QUEUE_PREFIX = "bq";
export const QUEUE_NAME = "parley";

/** A hash: the job's id and its JSON, as long as the job is neither done nor dropped. */
export const JOBS = beeKey("jobs");
/** Lists of job ids, and the set of those that are out of tries. */
export const WAITING = beeKey("waiting");
export const ACTIVE = beeKey("active");
export const FAILED = beeKey("failed");
/** A sorted set: jobs that are tried again, and when. */
export const DELAYED = beeKey("delayed");
/** A set: active jobs whose workers have not said yet that they live; and what blocks its check. */
export const STALLING = beeKey("stalling");
export const STALL_BLOCK = beeKey("stallBlock");

function beeKey(name: string): string {
  return `${QUEUE_PREFIX}:${QUEUE_NAME}:${name}`;
}
