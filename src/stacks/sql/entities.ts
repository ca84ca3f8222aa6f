import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

// The tables. There are no foreign keys: a message may be written before its chat, and a check of
// the parent row would make every insert wait for whoever changes the application.

/** Tokens and ids are compared byte by byte; SQLite does so by itself and drops the collation. */
const uuid = () => p.character().length(36).collation("ascii_bin");
const text = (length: number) => p.string().length(length).collation("utf8mb4_bin");
/** MariaDB reports no default as the default "NULL", which a schema diff would take for text. */
const optionalUuid = () => uuid().nullable().ignoreSchemaChanges("default");
/** Attributes as JSON, NULL for none. */
const attributes = () =>
  p.text().collation("utf8mb4_bin").nullable().ignoreSchemaChanges("default");
const bigint = () => p.bigint("number").unsigned(false);
/** Part of a key; no foreign key, and the key is the only index. */
const application = () =>
  p
    .manyToOne(ApplicationRow)
    .primary()
    .fieldName("application_id")
    .createForeignKeyConstraint(false)
    .index(false);
const time = () => p.datetime().length(3);

export const ApplicationRow = defineEntity({
  name: "ApplicationRow",
  tableName: "applications",
  properties: {
    id: bigint().primary().autoincrement(),
    token: uuid().unique("applications_token_unique"),
    name: text(255),
    chatsCount: bigint().defaultRaw("0"),
    /** The counter's value that the count was reckoned from: that less the voids up to it. */
    countedValue: bigint().defaultRaw("0"),
    countTime: time().nullable(),
    createTime: time(),
    updateTime: time(),
    requestId: optionalUuid().unique("applications_request_id_unique"),
    requestDigest: text(64).nullable().ignoreSchemaChanges("default"),
    /** Set where it was deleted: the row stays, as token and request id stay used. */
    deleteTime: time().nullable(),
  },
});

export const ChatRow = defineEntity({
  name: "ChatRow",
  tableName: "chats",
  properties: {
    application: application(),
    number: bigint().primary(),
    messagesCount: bigint().defaultRaw("0"),
    countedValue: bigint().defaultRaw("0"),
    countTime: time().nullable(),
    createTime: time(),
    requestId: optionalUuid(),
    /** After a loss of counters two chats can have one: docs/adr/0090. */
    externalId: text(255).nullable().ignoreSchemaChanges("default"),
    attributes: attributes(),
    /** How many of its messages are tombstones. */
    deletedCount: bigint().defaultRaw("0"),
    /** The number of the last change of one of its messages. */
    changeCount: bigint().defaultRaw("0"),
  },
  indexes: [{ name: "chats_external_id", properties: ["application", "externalId"] }],
});

export const MessageRow = defineEntity({
  name: "MessageRow",
  tableName: "messages",
  properties: {
    application: application(),
    chatNumber: bigint().primary(),
    number: bigint().primary(),
    body: p.text().collation("utf8mb4_bin"),
    author: text(255),
    createTime: time(),
    requestId: optionalUuid(),
    version: bigint().defaultRaw("1"),
    attributes: attributes(),
    originalTime: time().nullable(),
    editTime: time().nullable(),
    /** Set where it is a tombstone. */
    deleteTime: time().nullable(),
    /** Which change of its chat the last change of this message was; null where it has none. */
    changeNumber: bigint().nullable().ignoreSchemaChanges("default"),
  },
});

/** The messages that were changed, by the number of their last change alone. */
export const MessageChangeRow = defineEntity({
  name: "MessageChangeRow",
  tableName: "message_changes",
  properties: {
    application: application(),
    chatNumber: bigint().primary(),
    changeNumber: bigint().primary(),
    number: bigint(),
  },
});

/** The one row that says which epoch the counters are in. */
export const LedgerRow = defineEntity({
  name: "LedgerRow",
  tableName: "ledger",
  properties: {
    id: p.integer().unsigned(false).primary().autoincrement(false),
    epoch: bigint(),
    pending: p.boolean(),
    runId: text(255),
  },
});

/** How far the running number of an epoch was seen to go; a row for each writer, so none waits. */
export const WitnessRow = defineEntity({
  name: "WitnessRow",
  tableName: "witnesses",
  properties: {
    epoch: bigint().primary(),
    processId: text(64).primary(),
    accepts: bigint(),
  },
});

/** What was granted to a counter; chat number 0 is the counter of the application's chats. */
export const CeilingRow = defineEntity({
  name: "CeilingRow",
  tableName: "ceilings",
  properties: {
    application: application(),
    chatNumber: bigint().primary(),
    ceiling: bigint(),
    /** The highest start it was seeded at: up to there its voids are reckoned. */
    floor: bigint(),
    /** No number above it is void, so a row above it needs no look at the voids. */
    lastVoid: bigint(),
    /** In which it was seeded last. */
    epoch: bigint().defaultRaw("0"),
    /** Numbers up to it were deleted and never come back; DELETED_ALL where the parent was. */
    deletedThrough: bigint().defaultRaw("0"),
  },
});

/** Ranges of numbers that have no row and will have none, unless a late job brings it. */
export const VoidRow = defineEntity({
  name: "VoidRow",
  tableName: "voids",
  properties: {
    application: application(),
    chatNumber: bigint().primary(),
    firstNumber: bigint().primary(),
    lastNumber: bigint(),
  },
});

/** What the search index lacks: one envelope a chat. */
export const SearchGapRow = defineEntity({
  name: "SearchGapRow",
  tableName: "search_gaps",
  properties: {
    application: application(),
    chatNumber: bigint().primary(),
    firstNumber: bigint(),
    lastNumber: bigint(),
    version: bigint(),
  },
});

/** What was deleted and may have left something behind; chat number 0 is a whole application. */
export const DeletionRow = defineEntity({
  name: "DeletionRow",
  tableName: "deletions",
  properties: {
    application: application(),
    chatNumber: bigint().primary(),
    /** The messages up to it; DELETED_ALL for the whole chat or application. */
    throughNumber: bigint(),
    stage: p.integer().unsigned(false),
    dueTime: time(),
    version: bigint(),
  },
});

/** The one row that says which index the messages were last written to. */
export const SearchIndexRow = defineEntity({
  name: "SearchIndexRow",
  tableName: "search_index",
  properties: {
    id: p.integer().unsigned(false).primary().autoincrement(false),
    identity: text(255),
  },
});

/** When each chore last did its work. */
export const ChoreRunRow = defineEntity({
  name: "ChoreRunRow",
  tableName: "chore_runs",
  properties: {
    name: text(64).primary(),
    beganTime: time(),
  },
});

export type ApplicationRow = InferEntity<typeof ApplicationRow>;
export type ChatRow = InferEntity<typeof ChatRow>;
export type MessageRow = InferEntity<typeof MessageRow>;

export const entities = [
  ApplicationRow,
  ChatRow,
  MessageRow,
  MessageChangeRow,
  LedgerRow,
  WitnessRow,
  CeilingRow,
  VoidRow,
  SearchGapRow,
  DeletionRow,
  SearchIndexRow,
  ChoreRunRow,
];
