import { Migration } from "@mikro-orm/migrations";

/** DDL commits by itself on MySQL, so every step looks first whether it was done before. */
export class MysqlDeletions extends Migration {
  override async up(): Promise<void> {
    for (const [table, column, type] of COLUMNS) {
      const found = await this.execute(
        "select 1 from information_schema.columns where table_schema = database() " +
          `and table_name = '${table}' and column_name = '${column}'`,
      );
      if (found.length === 0) this.addSql(`alter table ${table} add column ${column} ${type}`);
    }
    this.addSql(
      `create table if not exists deletions (
        application_id bigint not null,
        chat_number bigint not null,
        through_number bigint not null,
        stage int not null,
        due_time datetime(3) not null,
        version bigint not null,
        primary key (application_id, chat_number)
      ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`,
    );
    for (const sql of countedValues) this.addSql(sql);
  }
}

const COLUMNS = [
  ["applications", "counted_value", "bigint not null default 0"],
  ["applications", "delete_time", "datetime(3) null"],
  ["chats", "counted_value", "bigint not null default 0"],
  ["ceilings", "deleted_through", "bigint not null default 0"],
];

/** A count that was copied is its counter's value less its voids, so the value can be told. */
export const countedValues = [
  ["applications", "applications.id", "0", "chats_count"],
  ["chats", "chats.application_id", "chats.number", "messages_count"],
].map(
  ([table, applicationId, chatNumber, count]) =>
    `update ${table} set counted_value = ${count} + coalesce((
      select sum(last_number - first_number + 1) from voids
      where voids.application_id = ${applicationId} and voids.chat_number = ${chatNumber}), 0)
      where count_time is not null`,
);
