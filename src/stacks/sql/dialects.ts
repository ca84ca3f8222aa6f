import type { Dialect } from "./orm.ts";

/** The words in which the two dialects differ, for the statements that are written by hand. */
export interface Words {
  greatest: string;
  least: string;
  /** Ends a SELECT whose rows nobody may change before the transaction ends. */
  forShare: string;
  /** Ends a SELECT whose rows nobody else may lock before the transaction ends. */
  forUpdate: string;
  /**
   * A table from one parameter, a JSON array of [application_id, number, value, at]: one statement
   * for many keys, in their order. Everyone who locks sorts them, so that nobody waits in a circle.
   */
  given: string;
  /** Ends an INSERT that leaves rows that are there as they are. */
  keep(column: string): string;
  /** Ends an INSERT that changes rows that are there. */
  merge(key: string, assignments: string): string;
  /** The value of an INSERT that met a row, for `merge`. */
  incoming(column: string): string;
}

export const WORDS: Record<Dialect, Words> = {
  mysql: {
    greatest: "GREATEST",
    least: "LEAST",
    // MariaDB does not know FOR SHARE.
    forShare: " LOCK IN SHARE MODE",
    forUpdate: " FOR UPDATE",
    given:
      "JSON_TABLE(?, '$[*]' COLUMNS (application_id BIGINT PATH '$[0]', " +
      "number BIGINT PATH '$[1]', value BIGINT PATH '$[2]', at BIGINT PATH '$[3]')) AS given",
    // Never INSERT IGNORE, which takes every other error for a row that is there.
    keep: (column) => ` ON DUPLICATE KEY UPDATE ${column} = ${column}`,
    merge: (_key, assignments) => ` ON DUPLICATE KEY UPDATE ${assignments}`,
    incoming: (column) => `VALUES(${column})`,
  },
  sqlite: {
    greatest: "max",
    least: "min",
    // There is one connection, so nobody else is in a transaction.
    forShare: "",
    forUpdate: "",
    given:
      "(SELECT value ->> 0 AS application_id, value ->> 1 AS number, value ->> 2 AS value, " +
      "value ->> 3 AS at FROM json_each(?)) AS given",
    keep: () => " ON CONFLICT DO NOTHING",
    merge: (key, assignments) => ` ON CONFLICT (${key}) DO UPDATE SET ${assignments}`,
    incoming: (column) => `excluded.${column}`,
  },
};
