import { chownSync, lstatSync, mkdirSync, readdirSync } from "node:fs";
import type { Account, Place, PortName } from "./place.ts";

/** One server process. A cluster would be several of these, each with a name of its own. */
export interface Server {
  name: string;
  /** The ports it listens at; the first is for clients. */
  ports: PortName[];
  /** Writes settings and lays out the data where there is none, then starts; gives the pid. */
  launch(place: Place, folder: string): Promise<number>;
  /** Throws until it serves clients. */
  check(place: Place): Promise<void>;
}

/** Everything that a server reads and writes belongs to its account. */
export function giveTo(account: Account | undefined, path: string): void {
  if (account === undefined) return;
  chownSync(path, account.uid, account.gid);
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) giveTo(account, `${path}/${name}`);
}

export function makeFolderFor(account: Account | undefined, path: string): void {
  mkdirSync(path, { recursive: true });
  if (account !== undefined) chownSync(path, account.uid, account.gid);
}
