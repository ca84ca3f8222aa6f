import { Migration } from "@mikro-orm/migrations";

/** What callers keep with chats and messages: external ids, attributes and original times. */
export class SqliteAttributes extends Migration {
  override up(): void {
    this.addSql("alter table chats add column external_id text null");
    this.addSql("alter table chats add column attributes text null");
    this.addSql("create index chats_external_id on chats (application_id, external_id)");
    this.addSql("alter table messages add column attributes text null");
    this.addSql("alter table messages add column original_time datetime null");
  }
}
