import { Migration } from "@mikro-orm/migrations";

export class SqliteTables extends Migration {
  override up(): void {
    for (const [table, columns] of Object.entries(TABLES)) {
      // Rows lie in the order of their keys, as InnoDB keeps them: a page is one range of the file.
      const order = columns.includes("autoincrement") ? "" : " without rowid";
      this.addSql(`create table ${table} (${columns})${order}`);
    }
    this.addSql("create unique index applications_token_unique on applications (token)");
    this.addSql("create unique index applications_request_id_unique on applications (request_id)");
    this.addSql("insert into ledger (id, epoch, pending, run_id) values (1, 0, 0, '')");
    this.addSql("insert into search_index (id, identity) values (1, '')");
  }
}

const TABLES = {
  applications: `
    id integer not null primary key autoincrement,
    token text not null,
    name text not null,
    chats_count bigint not null default 0,
    count_time datetime null,
    create_time datetime not null,
    update_time datetime not null,
    request_id text null,
    request_digest text null`,
  chats: `
    application_id bigint not null,
    number bigint not null,
    messages_count bigint not null default 0,
    count_time datetime null,
    create_time datetime not null,
    request_id text null,
    primary key (application_id, number)`,
  messages: `
    application_id bigint not null,
    chat_number bigint not null,
    number bigint not null,
    body text not null,
    author text not null,
    create_time datetime not null,
    request_id text null,
    version bigint not null default 1,
    primary key (application_id, chat_number, number)`,
  ledger: `
    id integer not null primary key,
    epoch bigint not null,
    pending integer not null,
    run_id text not null`,
  witnesses: `
    epoch bigint not null,
    process_id text not null,
    accepts bigint not null,
    primary key (epoch, process_id)`,
  ceilings: `
    application_id bigint not null,
    chat_number bigint not null,
    ceiling bigint not null,
    floor bigint not null,
    last_void bigint not null,
    primary key (application_id, chat_number)`,
  voids: `
    application_id bigint not null,
    chat_number bigint not null,
    first_number bigint not null,
    last_number bigint not null,
    primary key (application_id, chat_number, first_number)`,
  search_gaps: `
    application_id bigint not null,
    chat_number bigint not null,
    first_number bigint not null,
    last_number bigint not null,
    version bigint not null,
    primary key (application_id, chat_number)`,
  search_index: `
    id integer not null primary key,
    identity text not null`,
};
