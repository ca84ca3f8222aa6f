import { Migration } from "@mikro-orm/migrations";

export class MysqlChoreRuns extends Migration {
  override up(): void {
    this.addSql(
      `create table if not exists chore_runs (
        name varchar(64) collate utf8mb4_bin not null primary key,
        began_time datetime(3) not null)
        default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`,
    );
  }
}
