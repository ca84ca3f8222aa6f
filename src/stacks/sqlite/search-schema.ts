import { FOLD_VERSION } from "../../core/fold.ts";

/**
 * The tables of the search index. A row of `message_search` has the chat's id and the message's
 * number in its rowid, so that one chat's messages lie in one range of rowids. `search_chats` keeps
 * what `extent` asks for, so that it need not be counted.
 */
export const searchSchema: string[] = [
  `create table search_chats (
    id integer not null primary key,
    application_token text not null,
    chat_number integer not null,
    count integer not null default 0,
    last_number integer not null default 0,
    unique (application_token, chat_number))`,
  // The text is folded when it comes here. Column sizes would serve a ranking, and we have none.
  `create virtual table message_search using fts5 (
    folded, version unindexed, tokenize = 'trigram case_sensitive 1', columnsize = 0)`,
  `create table search_identity (
    id integer not null primary key,
    identity text not null,
    fold_version integer not null)`,
  `insert into search_identity (id, identity, fold_version)
    values (1, lower(hex(randomblob(16))), ${FOLD_VERSION})`,
];
