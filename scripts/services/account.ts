import { chownSync, lchownSync, lstatSync, mkdirSync, readdirSync, readFileSync } from "node:fs";

export interface Account {
  uid: number;
  gid: number;
}

/**
 * MariaDB and Elasticsearch refuse to be root; this account came with MariaDB's package. Undefined
 * where we are not root: then the servers run as we do.
 */
export function findAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const line = readFileSync("/etc/passwd", "utf8").match(/^mysql:[^:]*:(\d+):(\d+):/m);
  if (line === null) throw new Error("there is no account `mysql`: install mariadb-server");
  return { uid: Number(line[1]), gid: Number(line[2]) };
}

/** Everything that a server reads and writes belongs to its account. */
export function giveTo(account: Account | undefined, path: string): void {
  if (account === undefined) return;
  lchownSync(path, account.uid, account.gid);
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) giveTo(account, `${path}/${name}`);
}

export function makeFolderFor(account: Account | undefined, path: string): void {
  mkdirSync(path, { recursive: true });
  if (account !== undefined) chownSync(path, account.uid, account.gid);
}
