import { Migration } from "@mikro-orm/migrations";

/** What callers keep with chats and messages: external ids, attributes and original times. */
export class MysqlAttributes extends Migration {
  /** DDL commits by itself, so every step looks first whether it was done before. */
  override async up(): Promise<void> {
    for (const [table, column, type] of COLUMNS) {
      const found = await this.execute(
        "select 1 from information_schema.columns where table_schema = database() " +
          `and table_name = '${table}' and column_name = '${column}'`,
      );
      if (found.length === 0) this.addSql(`alter table ${table} add column ${column} ${type}`);
    }
    const indexed = await this.execute(
      "select 1 from information_schema.statistics where table_schema = database() " +
        "and table_name = 'chats' and index_name = 'chats_external_id'",
    );
    if (indexed.length > 0) return;
    this.addSql("alter table chats add index chats_external_id (application_id, external_id)");
  }
}

const COLUMNS = [
  ["chats", "external_id", "varchar(255) collate utf8mb4_bin null"],
  ["chats", "attributes", "text collate utf8mb4_bin null"],
  ["messages", "attributes", "text collate utf8mb4_bin null"],
  ["messages", "original_time", "datetime(3) null"],
];
