// Every bound that is no setting. A setting's default stands in config.ts.

/** Characters (Unicode code points) of an application's name and of an author. */
export const NAME_CHARACTERS_MAX = 255;
export const AUTHOR_CHARACTERS_MAX = 255;

/** Characters of the caller's own name for a chat. */
export const EXTERNAL_ID_CHARACTERS_MAX = 255;

/** What callers may keep with a chat or message; the bytes are those of all keys and values. */
export const ATTRIBUTES_MAX = { entries: 32, keyCharacters: 64, bytes: 2_048 };

/** When a message can have been written: from 1970 to the last time that protobuf can say. */
export const ORIGINAL_MS = { min: 0, max: 253_402_300_799_999 };

/** Messages that are created together, all or none. */
export const BATCH_MESSAGES_MAX = 1_000;

/** Bytes of UTF-8 of a message's body. */
export const BODY_BYTES_MAX = 16 * 1024;

/** Characters of a search query, so also a bound of its parts. */
export const QUERY_CHARACTERS_MAX = 256;

export const PAGE_SIZE_DEFAULT = 50;
export const PAGE_SIZE_MAX = 1_000;

/** Bytes of a page, to stay below the 4 MiB that gRPC clients accept unless told otherwise. */
export const PAGE_BYTES_MAX = 3 * 1024 * 1024;

/** Ranges of voids that a page may have; a loss makes one or few for each counter. */
export const VOID_RANGES_MAX = 10_000;

/**
 * Void numbers whose jobs are looked for at a time, in case they were given all the same, and how
 * many times for one page: more than one loss makes void.
 */
export const VOID_JOBS_MAX = 1_000;
export const VOID_CHUNKS_MAX = 100;

/** Characters of a page token: ours are shorter than 200. */
export const PAGE_TOKEN_CHARACTERS_MAX = 1_024;

/** The time of a call whose caller sets no deadline, and the most that any call gets. */
export const DEADLINE_DEFAULT_MS = 5_000;
export const DEADLINE_MAX_MS = 300_000;

/** A call that waits for a state answers this long before its deadline with the state reached. */
export const WAIT_ANSWER_BEFORE_MS = 100;
export const WAIT_POLL_MS = { first: 5, last: 100 };

/** Tries to get or create a chat that others keep deleting. */
export const NAME_ROUNDS_MAX = 10;

/** So long a change waits for the search index; after that it is answered all the same. */
export const INDEX_CHANGE_MS = 1_000;

/** Tries of one accept to come to terms with epochs and ceilings before it says UNAVAILABLE. */
export const ACCEPT_ROUNDS_MAX = 200;

/** So many counters that the intake does not know are looked up at a time. */
export const STRANGERS_MAX = 4;

/**
 * How often a process notes in the ledger how far it saw the running number go; and the time after
 * which every process that lives has done so.
 */
export const WITNESS_MS = 250;
export const SETTLE_MS = 600;

/** Tries to delete what is empty before others that create in it are taken to go on with it. */
export const DELETE_ROUNDS_MAX = 10;

/**
 * So long after it was purged a deletion is looked at again: a worker may still have been indexing
 * what it wrote before, or a process have been about to write a ceiling.
 */
export const PURGE_AGAIN_MS = 10 * 60_000;

/** So long a replayed create waits for the database to say whether what it created is there yet. */
export const REPLAY_LOOK_MS = 1_000;

/** Deletions that one run of the purge takes on at a time. */
export const PURGE_DELETIONS_MAX = 1_000;

/** A ceiling is raised in blocks that start here and double up to the last. */
export const CEILING_BLOCK = { first: 64, last: 65_536 };

/** Tries of a job that fails by itself, and the pause before the second; it doubles from there. */
export const JOB_TRIES_MAX = 4;
export const JOB_BACKOFF_MS = 500;

/** Jobs that run together, and nothing beside them, after their worker ended the first time. */
export const SUSPECTS_TOGETHER = 50;

/** A suspect that has not ended by then counts as if its worker had ended. */
export const SUSPECT_MS_MAX = 60_000;

/** A batch of the worker is closed by whichever comes first. */
export const BATCH_JOBS_MAX = 500;
export const BATCH_BYTES_MAX = 4 * 1024 * 1024;

/** How many rows a chore reads, writes or indexes at once. */
export const CHORE_ROWS_MAX = 1_000;

/** How many counters are seeded in one tick after a loss. */
export const RESEED_MAX = 10_000;

/** So many request ids weigh as much as one job when the backlog is reckoned. */
export const REQUEST_IDS_PER_JOB = 16;

/** Those who watch in one process, and those of one application: it leaves room for others. */
export const WATCHERS_MAX = { process: 10_000, application: 8_000 };

/** What is read for those who watch: rows of a page, and pages at a time for each. */
export const WATCH_PAGE_ROWS = 200;
export const WATCH_READS_MAX = 8;

/** Events that wait for one who watches; who is further behind reads them from the rows again. */
export const WATCH_BUFFER_MAX = { events: 1_000, bytes: 1024 * 1024 };

/** Looks without a hint at a time, so that many quiet chats leave room for those with news. */
export const WATCH_IDLE_READS_MAX = 2;

/** How often a watched chat is looked at without a hint; with very many chats, seldomer. */
export const WATCH_LOOK_MS = 3_000;

/** A number that waits so long to be stored does not hold up the numbers above it any more. */
export const WATCH_PENDING_MS = 10_000;

/** Numbers of one stream that were passed as pending; with more the stream waits for them. */
export const WATCH_PENDING_MAX = 1_000;

/** A stream on which nothing else was sent for so long sends that it lives. */
export const WATCH_HEARTBEAT_MS = 15_000;

/** So long those who watch wait for a store that is away before they are told. */
export const WATCH_STORE_AWAY_MS = 10_000;

/** So many who watch one chat are handed an event in one turn. */
export const WATCH_TURN_MAX = 100;

/** How long a feed waits for those who have much to take, and how often it looks at them. */
export const WATCH_ROOM_MS = { first: 10, last: 100 };
