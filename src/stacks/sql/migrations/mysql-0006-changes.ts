import { Migration } from "@mikro-orm/migrations";

/** DDL commits by itself on MySQL, so every step looks first whether it was done before. */
export class MysqlChanges extends Migration {
  override async up(): Promise<void> {
    for (const [table, column, type] of COLUMNS) {
      const found = await this.execute(
        "select 1 from information_schema.columns where table_schema = database() " +
          `and table_name = '${table}' and column_name = '${column}'`,
      );
      if (found.length === 0) this.addSql(`alter table ${table} add column ${column} ${type}`);
    }
    this.addSql(
      `create table if not exists message_changes (
        application_id bigint not null,
        chat_number bigint not null,
        change_number bigint not null,
        number bigint not null,
        primary key (application_id, chat_number, change_number)
      ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`,
    );
  }
}

const COLUMNS = [
  ["messages", "edit_time", "datetime(3) null"],
  ["messages", "delete_time", "datetime(3) null"],
  ["messages", "change_number", "bigint null"],
  ["chats", "deleted_count", "bigint not null default 0"],
  ["chats", "change_count", "bigint not null default 0"],
];
