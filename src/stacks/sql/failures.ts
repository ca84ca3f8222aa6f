import { ParleyError } from "../../errors.ts";

/**
 * What went wrong with a statement:
 * - `data`: a value cannot be stored; trying again cannot help;
 * - `contention`: others held the rows; trying again at once can help;
 * - `away`: the database is not there or cannot work now; trying again later can help;
 * - `defect`: the error is not the database's.
 */
export type Failure = "data" | "contention" | "away" | "defect";

/** MySQL's numbers of errors that are the fault of a value. */
const MYSQL_DATA = new Set([
  1048, // null in a column that has none
  1062, // duplicate key
  1153, // packet too large
  1264, // out of range
  1265, // truncated
  1292, // wrong date
  1366, // text that the character set cannot hold
  1406, // too long
  3819, // check, MySQL
  4025, // check, MariaDB
]);

/** Deadlock (also how Galera says that another node was first) and lock wait time-out. */
const MYSQL_CONTENTION = new Set([1205, 1213]);

/** SQLite's primary codes: too big, constraint, mismatch. Busy and locked. */
const SQLITE_DATA = new Set([18, 19, 20]);
const SQLITE_CONTENTION = new Set([5, 6]);

interface DriverError extends Error {
  code?: string;
  errno?: number;
  /** SQLite's extended code; its low byte is the primary code. */
  errcode?: number;
}

export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error) || error instanceof ParleyError) return "defect";
  const { errno, errcode } = error as DriverError;
  if (errcode !== undefined) {
    if (SQLITE_DATA.has(errcode & 0xff)) return "data";
    return SQLITE_CONTENTION.has(errcode & 0xff) ? "contention" : "away";
  }
  if (errno !== undefined) {
    if (MYSQL_DATA.has(errno)) return "data";
    return MYSQL_CONTENTION.has(errno) ? "contention" : "away";
  }
  // Our own mistakes. What is left has no number: a lost connection, a full or a closed pool.
  const mistakes = [TypeError, RangeError, ReferenceError, SyntaxError];
  return mistakes.some((kind) => error instanceof kind) ? "defect" : "away";
}

export function isDuplicate(error: unknown): boolean {
  const { errno, errcode } = error as DriverError;
  // SQLite: constraint of a unique index, of a primary key.
  return errno === 1062 || errcode === 2067 || errcode === 1555;
}

/**
 * The error that leaves the adapter. Its cause says what the database said, without the statement:
 * that would carry bodies into the log.
 */
export function storeUnavailable(error: unknown): ParleyError {
  const cause = new Error(nameOf(error));
  return new ParleyError("STORE_UNAVAILABLE", "the database cannot be reached now", { cause });
}

/** The fault of a value, told apart as before but without the statement, which has the value. */
export function withoutStatement(error: unknown): Error {
  const { errno, errcode } = error as DriverError;
  return Object.assign(new Error(nameOf(error)), { errno, errcode });
}

/** An error's name and number, and its text where that cannot quote a stored value. */
export function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, errno, errcode, message } = error as DriverError;
  const number = errno ?? errcode;
  const name = `${code ?? error.name}${number === undefined ? "" : ` (${number})`}`;
  const quotes = failureOf(error) === "data" || errno === 1064 || errcode === 1;
  return quotes ? name : `${name}: ${message}`;
}
