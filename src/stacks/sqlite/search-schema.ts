import { FOLD_VERSION } from "../../core/fold.ts";

/**
 * The tables of the search index. A row of `message_search` has the chat's id and the message's
 * number in its rowid, so that one chat's messages lie in one range of rowids. `search_chats` keeps
 * what `extent` asks for, so that it need not be counted.
 */
export interface SearchTables {
  chats: string;
  messages: string;
}

/** The index that is searched, and the one that is made to take its place. */
export const CURRENT: SearchTables = { chats: "search_chats", messages: "message_search" };
export const NEXT: SearchTables = { chats: "search_chats_next", messages: "message_search_next" };

export function tablesSchema({ chats, messages }: SearchTables): string[] {
  return [
    `create table ${chats} (
    id integer not null primary key,
    application_token text not null,
    chat_number integer not null,
    count integer not null default 0,
    last_number integer not null default 0,
    unique (application_token, chat_number))`,
    // The text is folded when it comes here. Column sizes would serve a ranking: we have none.
    `create virtual table ${messages} using fts5 (
    folded, version unindexed, tokenize = 'trigram case_sensitive 1', columnsize = 0)`,
  ];
}

export const searchSchema: string[] = [
  ...tablesSchema(CURRENT),
  `create table search_identity (
    id integer not null primary key,
    identity text not null,
    fold_version integer not null)`,
  `insert into search_identity (id, identity, fold_version)
    values (1, lower(hex(randomblob(16))), ${FOLD_VERSION})`,
];
