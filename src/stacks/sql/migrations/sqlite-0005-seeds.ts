import { Migration } from "@mikro-orm/migrations";

/** In which epoch a counter was seeded last, so that all who seed it in one are told one start. */
export class SqliteSeeds extends Migration {
  override up(): void {
    this.addSql("alter table ceilings add column epoch bigint not null default 0");
  }
}
