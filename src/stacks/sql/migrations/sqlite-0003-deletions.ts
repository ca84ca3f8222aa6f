import { Migration } from "@mikro-orm/migrations";
import { countedValues } from "./mysql-0002-deletions.ts";

export class SqliteDeletions extends Migration {
  override up(): void {
    this.addSql("alter table applications add column counted_value bigint not null default 0");
    this.addSql("alter table applications add column delete_time datetime null");
    this.addSql("alter table chats add column counted_value bigint not null default 0");
    this.addSql("alter table ceilings add column deleted_through bigint not null default 0");
    this.addSql(
      `create table deletions (
        application_id bigint not null,
        chat_number bigint not null,
        through_number bigint not null,
        stage integer not null,
        due_time datetime not null,
        version bigint not null,
        primary key (application_id, chat_number)) without rowid`,
    );
    for (const sql of countedValues) this.addSql(sql);
  }
}
