import { Migration } from "@mikro-orm/migrations";

/** Versions of messages after their first, and the order in which a chat's messages changed. */
export class SqliteChanges extends Migration {
  override up(): void {
    this.addSql("alter table messages add column edit_time datetime null");
    this.addSql("alter table messages add column delete_time datetime null");
    this.addSql("alter table messages add column change_number bigint null");
    this.addSql("alter table chats add column deleted_count bigint not null default 0");
    this.addSql("alter table chats add column change_count bigint not null default 0");
    this.addSql(`create table message_changes (
      application_id bigint not null,
      chat_number bigint not null,
      change_number bigint not null,
      number bigint not null,
      primary key (application_id, chat_number, change_number)) without rowid`);
  }
}
