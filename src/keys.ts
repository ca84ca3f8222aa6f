import { chown, open, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type KeyEntry, newKey, parseKeyFile } from "./api/keys.ts";

// The commands `keys create`, `keys list` and `keys revoke`. They change a file of keys as a whole:
// a server sees the old file or the new one.

const DAY_MS = 24 * 60 * 60 * 1_000;

export interface KeyWish {
  readOnly: boolean;
  /** Empty for all of them. */
  applications: string[];
  expireDays: number | undefined;
  comment: string | undefined;
}

/** Makes a key; `nowMs` is when its days begin. */
export function createKey(wish: KeyWish, nowMs: number): { key: string; entry: KeyEntry } {
  const { applications, expireDays, comment } = wish;
  return newKey({
    scopes: wish.readOnly ? ["read"] : ["read", "write"],
    ...(applications.length > 0 && { applications }),
    ...(expireDays !== undefined && {
      expireTime: new Date(nowMs + expireDays * DAY_MS).toISOString(),
    }),
    ...(comment !== undefined && { comment }),
  });
}

/** Adds an entry to a file, which is made where there is none, for its owner alone. */
export async function addKey(file: string, entry: KeyEntry): Promise<void> {
  await change(file, (entries) => [...(entries ?? []), entry]);
}

/** Takes a key out of a file. */
export async function revokeKey(file: string, id: string): Promise<void> {
  await change(file, (entries) => {
    const left = entries?.filter((one) => one.id !== id);
    if (left === undefined || left.length === entries?.length) {
      throw new Error(`${file} has no key ${id}`);
    }
    return left;
  });
}

/** The keys of a file. */
export async function listKeys(file: string): Promise<KeyEntry[]> {
  return parse(file, await readFile(file, "utf8"));
}

function parse(file: string, text: string): KeyEntry[] {
  try {
    return parseKeyFile(text);
  } catch (error) {
    throw new Error(`${file} ${(error as Error).message}`);
  }
}

/**
 * Writes the changed file beside the old one and renames it. The new file's name is also the lock:
 * of two commands at a time the second is refused, so that neither loses the other's key.
 */
async function change(
  file: string,
  edit: (entries: KeyEntry[] | undefined) => KeyEntry[],
): Promise<void> {
  // A link stays a link.
  const path = await realpath(file).catch(() => file);
  const unfinished = `${path}.new`;
  const handle = await open(unfinished, "wx", 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
    throw new Error(`${unfinished} is there: another command is at work, or was interrupted`);
  });
  try {
    const before = await stat(path).catch(missing);
    const entries = before && parse(file, await readFile(path, "utf8"));
    const keys = edit(entries);
    const text = `${JSON.stringify({ keys }, undefined, 2)}\n`;
    // What cannot be read back must not be written.
    parse(file, text);
    await handle.writeFile(text);
    if (before !== undefined) {
      await handle.chmod(before.mode & 0o777);
      // The server's account must still be able to read it after root changed it.
      await chown(unfinished, before.uid, before.gid).catch(() => {});
    }
    await handle.sync();
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  const folder = await open(dirname(path));
  await folder.sync().finally(() => folder.close());
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
