import { Client } from "@elastic/elasticsearch";
import { PAGE_SIZE_DEFAULT } from "../src/core/limits.ts";
import { parseQuery } from "../src/core/query.ts";
import { findRequest } from "../src/stacks/elastic/requests.ts";
import { ElasticSearchIndex } from "../src/stacks/elastic/search-index.ts";
import { pick, randomFrom } from "../test/support/random.ts";
import { inPieces, makeLongChat } from "./filling.ts";
import { alternate, atMost, type Bench, type Measured, medianOf } from "./measurement.ts";
import { withStarted } from "./processes.ts";
import { COMMON_WORDS, sentencesFrom } from "./sentences.ts";

/** Messages of each of the other chats in the index. */
const CHAT_MESSAGES = 1_000;
/** Documents that are indexed at a time, in so many lanes. */
const BULK = 2_000;
const LANES = 3;
/**
 * Rounds before the first that counts. The client in this process has filled the index by then, and
 * so runs at its full speed; a server that has answered next to nothing does not yet.
 */
const WARM_ROUNDS = 10;
/** In how many messages of the chat a rare word is. */
const RARE = { least: 3, most: 10 };
/** Merging a million documents takes longer than a call may. */
const PATIENT = { requestTimeout: 300_000 };

/** A search through all of Parley beside the query that it sends to Elasticsearch. */
export const searching: Bench = {
  names: ["search-rare", "search-common", "search-letter"],
  run: ({ rounds, indexed, searches }) =>
    withStarted(async (started) => {
      const place = await started.place("production");
      const client = new Client({ node: place.env.PARLEY_ELASTICSEARCH_URL! });
      started.add({ stop: () => client.close() });
      const sentence = sentencesFrom(2);
      const bodies = Array.from({ length: indexed.inOneChat }, sentence);
      const bodyOf = (number: number) => bodies[number - 1]!;
      const chat = await makeLongChat(started, place, { messages: bodies.length, bodyOf });
      const { applicationToken, chatNumber, target } = chat;
      const alias = place.env.PARLEY_ELASTICSEARCH_INDEX!;

      const index = new ElasticSearchIndex(client, alias);
      await inLanes(indexed.all, async (numbers) => {
        const documents = numbers.map((one) => {
          // Those beyond the chat go to others, of which there is nothing but the index.
          const beyond = one - bodies.length - 1;
          const at = beyond < 0 ? chatNumber : 2 + Math.floor(beyond / CHAT_MESSAGES);
          const number = beyond < 0 ? one : 1 + (beyond % CHAT_MESSAGES);
          const body = beyond < 0 ? bodyOf(one) : sentence();
          return { applicationToken, chatNumber: at, number, body, version: 1 };
        });
        const errors = await index.index(documents);
        const error = errors.find((one) => one !== undefined);
        if (error !== undefined) throw error;
      });
      await client.indices.forcemerge({ index: alias, max_num_segments: 1 }, PATIENT);
      await client.indices.refresh({ index: alias });

      const clients = started.clients(target);
      const search = async (query: string) => {
        const found = await clients.searchMessages({ applicationToken, chatNumber, query });
        if (found.indexedThroughNumber !== bodies.length) throw new Error("the index has a hole");
        return found.results.length;
      };
      const find = async (query: string) => {
        const key = { applicationToken, chatNumber, before: Number.POSITIVE_INFINITY };
        const asked = { ...key, parts: parseQuery(query), limit: PAGE_SIZE_DEFAULT + 1 };
        const { hits } = await client.search(findRequest(alias, asked));
        return Math.min(hits.hits.length, PAGE_SIZE_DEFAULT);
      };

      const measure = async (name: string, words: string[]): Promise<Measured> => {
        // Each side of a round looks for the same words, which are others than in the round before.
        const [ours, floor] = [randomFrom(3), randomFrom(3)];
        const foundOf = { ours: 0, floor: 0 };
        const round = async (side: "ours" | "floor", random: () => number) => {
          const ms: number[] = [];
          for (let at = 0; at < searches; at++) {
            const word = pick(random, words);
            const beganMs = performance.now();
            foundOf[side] += await (side === "ours" ? search(word) : find(word));
            ms.push(performance.now() - beganMs);
          }
          return { p50: medianOf(ms), p99: partOf(ms, 0.99) };
        };
        for (let at = 0; at < WARM_ROUNDS; at++) {
          await round("floor", floor);
          await round("ours", ours);
        }
        const sides = await alternate(rounds, {
          ours: () => round("ours", ours),
          floor: () => round("floor", floor),
        });
        if (foundOf.ours !== foundOf.floor)
          throw new Error(`${name}: the sides found other things`);
        const p50 = medianOf(sides.ours.map((one) => one.p50)).toFixed(2);
        const p50Floor = medianOf(sides.floor.map((one) => one.p50)).toFixed(2);
        return atMost(1.3, {
          name,
          value: medianOf(sides.ours.map((one) => one.p99)),
          unit: "ms p99",
          floor: medianOf(sides.floor.map((one) => one.p99)),
          note: `p50 ${p50} ms beside ${p50Floor} ms; ${words.length} words in turn at random`,
        });
      };
      return [
        await measure("search-rare", rareWordsOf(bodies)),
        await measure("search-common", COMMON_WORDS),
        await measure("search-letter", [..."abcdefghijklmnopqrstuvwxyz"]),
      ];
    }),
};

/** Carries out the pieces, some at a time. */
async function inLanes(last: number, take: (numbers: number[]) => Promise<void>): Promise<void> {
  const lanes: Promise<void>[] = Array.from({ length: LANES }, () => Promise.resolve());
  let at = 0;
  await inPieces(last, BULK, async (numbers) => {
    const lane = at++ % LANES;
    await lanes[lane];
    lanes[lane] = take(numbers);
  });
  await Promise.all(lanes);
}

/** The words that so few messages have, wherever in a word. */
function rareWordsOf(bodies: string[]): string[] {
  const counts = new Map<string, number>();
  for (const body of bodies) {
    for (const word of body.toLowerCase().match(/[a-z]+/g)!) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  const rare = [...counts].filter(([, count]) => count >= RARE.least && count <= RARE.most);
  return rare.map(([word]) => word).filter((word) => word.length > 5);
}

/** The value below which so great a part of them lies. */
function partOf(values: number[], part: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.ceil(sorted.length * part) - 1]!;
}
