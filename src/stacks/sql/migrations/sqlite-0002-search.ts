import { Migration } from "@mikro-orm/migrations";
import { searchSchema } from "../../sqlite/search-schema.ts";

/** On SQLite the search index is in the file of the rows. */
export class SqliteSearch extends Migration {
  override up(): void {
    for (const sql of searchSchema) this.addSql(sql);
  }
}
