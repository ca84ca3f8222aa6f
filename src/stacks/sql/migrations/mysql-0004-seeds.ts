import { Migration } from "@mikro-orm/migrations";

/** In which epoch a counter was seeded last, so that all who seed it in one are told one start. */
export class MysqlSeeds extends Migration {
  override up(): void {
    // DDL commits by itself, so this may come again after it was done; MySQL cannot say it shorter.
    this.addSql(`set @step = if(
      exists(select 1 from information_schema.columns where table_schema = database()
        and table_name = 'ceilings' and column_name = 'epoch'),
      'do 0', 'alter table ceilings add column epoch bigint not null default 0')`);
    this.addSql("prepare step from @step");
    this.addSql("execute step");
    this.addSql("deallocate prepare step");
  }
}
