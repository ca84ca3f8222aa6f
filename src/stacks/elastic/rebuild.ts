import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@elastic/elasticsearch";
import { FOLD_VERSION } from "../../core/fold.ts";
import type { SearchDocument } from "../../core/ports.ts";
import type { Rebuild } from "../../core/upkeep.ts";
import { answerOf, RebuildError, statusOf } from "./client.ts";
import { DONE_BY_ANOTHER, ensureIndex, mapping, TRIES_MAX, versionOf } from "./mapping.ts";

// How an index is rebuilt while it is searched: docs/adr/0071-an-index-is-rebuilt-by-two-writes.md.

/** The names that an index has while it is being rebuilt, and while it waits to be deleted. */
export interface Aliases {
  /** Of the one that is searched. */
  alias: string;
  /** Of the new one: every process writes to it too. */
  filling: string;
  /** Of the new one near its end: every process makes what it writes to it visible at once. */
  closing: string;
  /** Of the old one after the swap. */
  retired: string;
}

export function aliasesOf(alias: string): Aliases {
  const of = (end: string) => `${alias}-${end}`;
  return { alias, filling: of("filling"), closing: of("closing"), retired: of("retired") };
}

/** How old a writer's knowledge of a rebuild may be, and how long everybody surely has the new. */
const KNOWN_MS = 500;
const SPREAD_MS = KNOWN_MS + 250;

/** Searches that began on the old index end on it. */
const RETIRE_MS = 2_000;

/** A rebuild that lives shows so this often, and counts as dead after so long a silence. */
const BEAT_MS = 1_000;
const SILENCE_MS = 3_500;

export type Phase = "none" | "filling" | "closing";

/** What writers know of a rebuild, never older than KNOWN_MS. */
export class PhaseWatch {
  private readonly client: Client;
  private readonly aliases: Aliases;
  private phase: Phase = "none";
  private untilMs = 0;

  constructor(client: Client, aliases: Aliases) {
    this.client = client;
    this.aliases = aliases;
  }

  async get(): Promise<Phase> {
    const nowMs = performance.now();
    if (nowMs < this.untilMs) return this.phase;
    const { filling, closing } = this.aliases;
    const answer = await answerOf(
      this.client.indices.getAlias({ name: [filling, closing] }, { ignore: [404] }),
    );
    const names = Object.values(answer).flatMap((one) => Object.keys(one?.aliases ?? {}));
    this.phase = names.includes(closing) ? "closing" : names.includes(filling) ? "filling" : "none";
    // Counted from before it was asked.
    this.untilMs = nowMs + KNOWN_MS;
    return this.phase;
  }
}

/**
 * Begins a rebuild: takes away what one that died has left, refuses where one lives, and returns
 * when every writer knows.
 */
export async function beginRebuild(
  client: Client,
  aliases: Aliases,
  write: (alias: string, documents: SearchDocument[]) => Promise<(Error | undefined)[]>,
): Promise<Rebuild> {
  const index = await answerOf(create(client, aliases));
  await sleep(SPREAD_MS);
  return new ElasticRebuild(client, aliases, { index, write });
}

async function create(client: Client, aliases: Aliases): Promise<string> {
  await ensureIndex(client, aliases.alias);
  await clearFilling(client, aliases);
  await clearRetired(client, aliases);
  // The digits tell it from the one that is searched; an older process reads the same version.
  const index = `${aliases.alias}-${FOLD_VERSION}.${Date.now()}${randomInt(10, 99)}`;
  const made = await client.indices.create({
    index,
    mappings: { ...mapping, _meta: { beat: randomInt(2 ** 40) } },
    aliases: { [aliases.filling]: {} },
  });
  // Of two that begin at once each sees the other at this look at the latest, so none goes on.
  const alone = (await findBeats(client, aliases.filling)).size === 1;
  if (alone && made.acknowledged) return index;
  await deleteUnfinished(client, aliases, index);
  throw new RebuildError(alone ? "not every node has heard of the new index" : REFUSED);
}

/** Takes away what a rebuild that died has left; refuses where it shows that it lives. */
async function clearFilling(client: Client, aliases: Aliases): Promise<void> {
  const { filling } = aliases;
  const before = await findBeats(client, filling);
  if (before.size === 0) return;
  await sleep(SILENCE_MS);
  const after = await findBeats(client, filling);
  for (const [name, beat] of after) {
    if (before.get(name) !== beat) throw new RebuildError(REFUSED);
  }
  for (const index of after.keys()) await deleteUnfinished(client, aliases, index);
}

/**
 * Deletes an index only while it is one in the making: its name is taken away first, without which
 * it cannot be swapped in, and which it has lost where it is searched already.
 */
async function deleteUnfinished(
  client: Client,
  { filling, retired }: Aliases,
  index: string,
): Promise<void> {
  const actions = [
    { remove: { index, alias: filling, must_exist: true } },
    { add: { index, alias: retired } },
  ];
  const answer = await client.indices.updateAliases({ actions }, { ignore: [404], meta: true });
  if (answer.statusCode === 404) return;
  await client.indices.delete({ index }, { ignore: [404] });
}

async function clearRetired(client: Client, { retired }: Aliases): Promise<void> {
  const left = await client.indices.getAlias({ name: retired }, { ignore: [404] });
  for (const [index, one] of Object.entries(left)) {
    if (one?.aliases !== undefined) await client.indices.delete({ index }, { ignore: [404] });
  }
}

async function findBeats(client: Client, filling: string): Promise<Map<string, string>> {
  const found = await client.indices.getMapping({ index: filling }, { ignore: [404] });
  const beats = new Map<string, string>();
  for (const [name, state] of Object.entries(found)) {
    if (state?.mappings !== undefined) beats.set(name, String(state.mappings._meta?.beat));
  }
  return beats;
}

const REFUSED = "another process is rebuilding the index";

class ElasticRebuild implements Rebuild {
  private readonly client: Client;
  private readonly aliases: Aliases;
  private readonly name: string;
  private readonly write: (
    alias: string,
    documents: SearchDocument[],
  ) => Promise<(Error | undefined)[]>;
  private readonly beat: NodeJS.Timeout;
  private meta: Record<string, unknown> = {};
  private noting: Promise<unknown> = Promise.resolve();

  constructor(
    client: Client,
    aliases: Aliases,
    parts: { index: string; write: ElasticRebuild["write"] },
  ) {
    this.client = client;
    this.aliases = aliases;
    this.name = parts.index;
    this.write = parts.write;
    this.beat = setInterval(() => {
      // One that is missed is no matter; whoever takes this rebuild for dead ends it.
      this.note({ beat: randomInt(2 ** 40) }).catch(() => {});
    }, BEAT_MS);
    this.beat.unref();
  }

  index(documents: SearchDocument[]): Promise<(Error | undefined)[]> {
    return this.write(this.aliases.filling, documents);
  }

  async finish(): Promise<void> {
    const name = this.aliases.closing;
    await answerOf(this.client.indices.putAlias({ index: this.name, name }));
    // From here on nothing shows in the old index that does not show in the new one.
    await sleep(SPREAD_MS);
    await answerOf(this.swap());
    clearInterval(this.beat);
    await sleep(RETIRE_MS);
    // What cannot be deleted now is deleted by the next rebuild.
    await clearRetired(this.client, this.aliases).catch(() => {});
  }

  async abandon(): Promise<void> {
    clearInterval(this.beat);
    await answerOf(deleteUnfinished(this.client, this.aliases, this.name));
  }

  private async swap(): Promise<void> {
    const { alias, filling, closing, retired } = this.aliases;
    for (let tries = 1; ; tries++) {
      const old = await ensureIndex(this.client, alias);
      if (Math.floor(versionOf(old.name, alias)) > FOLD_VERSION) {
        throw new RebuildError("a newer version of Parley has taken the index over");
      }
      await this.note({ identity: old.identity });
      await this.client.indices.refresh({ index: this.name });
      try {
        await this.client.indices.updateAliases({
          actions: [
            { remove: { index: old.name, alias, must_exist: true } },
            { add: { index: old.name, alias: retired } },
            { remove: { index: this.name, aliases: [filling, closing], must_exist: true } },
            { add: { index: this.name, alias } },
          ],
        });
        return;
      } catch (error) {
        // The old one was deleted or replaced meanwhile.
        const again = DONE_BY_ANOTHER.has(statusOf(error) ?? 0) && tries < TRIES_MAX;
        if (!again) throw error;
      }
    }
  }

  /** One after the other, and each with all there is to note: none takes another's note away. */
  private note(change: Record<string, unknown>): Promise<unknown> {
    this.meta = { ...this.meta, ...change };
    const put = () => this.client.indices.putMapping({ index: this.name, _meta: this.meta });
    const noted = this.noting.then(put);
    this.noting = noted.catch(() => {});
    return noted;
  }
}
