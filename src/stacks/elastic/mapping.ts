import type { Client, estypes } from "@elastic/elasticsearch";
import { FOLD_VERSION } from "../../core/fold.ts";
import { statusOf } from "./client.ts";

/**
 * One document for each message. `chat` is `<token>:<chat number>`, which is also the routing, so
 * that a chat's messages lie in one shard and no other chat's can be found. `pieces` is looked up
 * and never shown: the text is in the rows, and so is everything else that a caller sees. Shards
 * and replicas are left to the server and its index templates.
 */
export const mapping: estypes.MappingTypeMapping = {
  dynamic: "strict",
  _routing: { required: true },
  _source: { excludes: ["pieces"] },
  properties: {
    chat: { type: "keyword" },
    number: { type: "long" },
    // Positions are for the phrases. Nothing is ranked, so there are no norms.
    pieces: { type: "text", analyzer: "whitespace", index_options: "positions", norms: false },
  },
};

/** What another process may do at the same time leads to these; it has done our work then. */
export const DONE_BY_ANOTHER: ReadonlySet<number> = new Set([400, 404]);
export const TRIES_MAX = 5;

/** The index behind an alias. */
export interface Served {
  name: string;
  /**
   * Its UUID, or where it took the place of another one and lacks nothing that one had, that one's.
   */
  identity: string;
}

/**
 * The index behind the alias. Makes it where there is none, and where the one that is there was
 * folded by an older version of the code; an index of a newer version is left as it is, so that old
 * and new processes do not take it from each other while they are replaced.
 */
export async function ensureIndex(client: Client, alias: string): Promise<Served> {
  for (let tries = 1; ; tries++) {
    try {
      const served = await findServed(client, alias);
      if (served === undefined) {
        await client.indices.create({
          index: `${alias}-${FOLD_VERSION}`,
          mappings: mapping,
          aliases: { [alias]: {} },
        });
      } else if (versionOf(served.name, alias) < FOLD_VERSION) {
        await replaceIndex(client, { alias, old: served.name });
      } else {
        return served;
      }
    } catch (error) {
      const again = DONE_BY_ANOTHER.has(statusOf(error) ?? 0) && tries < TRIES_MAX;
      if (!again) throw error;
    }
  }
}

/** The index behind the alias as it is; undefined where there is none of ours. */
export async function findServed(client: Client, alias: string): Promise<Served | undefined> {
  const indices = await client.indices.get({ index: alias }, { ignore: [404] });
  const found = Object.entries(indices).find(([one]) => versionOf(one, alias) > 0);
  if (found === undefined) return undefined;
  const [name, state] = found;
  const inherited: unknown = state.mappings?._meta?.identity;
  const identity = inherited === undefined ? state.settings?.index?.uuid : String(inherited);
  return { name, identity: identity ?? name };
}

/** `<alias>-<version>`, and for one that was rebuilt digits behind a point. */
export function versionOf(index: string, alias: string): number {
  return index.startsWith(`${alias}-`) ? Number(index.slice(alias.length + 1)) : 0;
}

/** Puts a new, empty index in the place of the old one in one step. */
async function replaceIndex(
  client: Client,
  { alias, old }: { alias: string; old: string },
): Promise<void> {
  const index = `${alias}-${FOLD_VERSION}`;
  await client.indices.create({ index, mappings: mapping }, { ignore: [400] });
  await client.indices.updateAliases({
    actions: [{ remove_index: { index: old } }, { add: { index, alias } }],
  });
}
