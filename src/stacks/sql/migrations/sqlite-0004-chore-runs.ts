import { Migration } from "@mikro-orm/migrations";

export class SqliteChoreRuns extends Migration {
  override up(): void {
    this.addSql(
      `create table chore_runs (
        name text not null primary key,
        began_time datetime not null) without rowid`,
    );
  }
}
