import { Migration } from "@mikro-orm/migrations";

/** DDL commits by itself on MySQL, so each statement can be run again after one that failed. */
export class MysqlTables extends Migration {
  override up(): void {
    for (const [table, columns] of Object.entries(TABLES)) {
      this.addSql(
        `create table if not exists ${table} (${columns}) ` +
          "default character set utf8mb4 collate utf8mb4_bin engine = InnoDB",
      );
    }
    this.addSql(
      "insert into ledger (id, epoch, pending, run_id) values (1, 0, 0, '') " +
        "on duplicate key update id = id",
    );
    this.addSql(
      "insert into search_index (id, identity) values (1, '') on duplicate key update id = id",
    );
  }
}

const TABLES = {
  applications: `
    id bigint not null auto_increment primary key,
    token char(36) collate ascii_bin not null,
    name varchar(255) collate utf8mb4_bin not null,
    chats_count bigint not null default 0,
    count_time datetime(3) null,
    create_time datetime(3) not null,
    update_time datetime(3) not null,
    request_id char(36) collate ascii_bin null,
    request_digest varchar(64) collate utf8mb4_bin null,
    unique applications_token_unique (token),
    unique applications_request_id_unique (request_id)`,
  chats: `
    application_id bigint not null,
    number bigint not null,
    messages_count bigint not null default 0,
    count_time datetime(3) null,
    create_time datetime(3) not null,
    request_id char(36) collate ascii_bin null,
    primary key (application_id, number)`,
  messages: `
    application_id bigint not null,
    chat_number bigint not null,
    number bigint not null,
    body text collate utf8mb4_bin not null,
    author varchar(255) collate utf8mb4_bin not null,
    create_time datetime(3) not null,
    request_id char(36) collate ascii_bin null,
    version bigint not null default 1,
    primary key (application_id, chat_number, number)`,
  ledger: `
    id int not null primary key,
    epoch bigint not null,
    pending tinyint(1) not null,
    run_id varchar(255) collate utf8mb4_bin not null`,
  witnesses: `
    epoch bigint not null,
    process_id varchar(64) collate utf8mb4_bin not null,
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
    id int not null primary key,
    identity varchar(255) collate utf8mb4_bin not null`,
};
