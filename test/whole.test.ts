import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { foldText } from "../src/core/fold.ts";
import { matches, parseQuery } from "../src/core/query.ts";
import { importFile } from "../src/transfer/import.ts";
import { syncCounts } from "../src/worker/chores.ts";
import { samples } from "./support/samples.ts";
import { describeStacks, freshPlace, type Place, type Running, start } from "./support/system.ts";

// The main job on real conversations and 26 languages, where that data lies beside the checkout;
// otherwise on what is made here.

const data = fileURLToPath(new URL("../../shared/data", import.meta.url));

interface Line {
  chat: number;
  author: string;
  body: string;
}

function readLines(name: string): Record<string, unknown>[] {
  const file = join(data, name);
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

function conversations(): Line[] {
  const real = readLines("conversations.jsonl") as unknown as Line[];
  if (real.length > 0) return real;
  return Array.from({ length: 2_000 }, (_, at) => ({
    chat: (at * 7) % 40,
    author: `agent_${at % 2}`,
    body: `${samples[at % samples.length]!.body} ${at}`,
  }));
}

/** Each language is a chat. */
function scripts(): Line[] {
  const real = readLines("scripts.jsonl");
  if (real.length === 0) {
    // Said twice, so that there is more than one thing to find, and an order to find it in.
    return samples.flatMap(({ what, body }, at) =>
      [body, `${body} ${body}`].map((said) => ({ chat: at, author: what, body: said })),
    );
  }
  const languages = [...new Set(real.map((line) => line.language))];
  return real.map((line) => ({
    chat: languages.indexOf(line.language),
    author: String(line.language),
    body: String(line.body),
  }));
}

/** A generator of its own, so that every run draws the same queries. */
function drawer(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A word, a part of one, a quoted part, two words, one letter: drawn from a body. */
function queryFrom(body: string, draw: (below: number) => number): string {
  const words = body
    .split(/\s+/)
    .filter((word) => /[\p{L}\p{N}]/u.test(word) && !word.includes('"'));
  if (words.length === 0) return "a";
  const word = words[draw(words.length)]!;
  const characters = [...word];
  const from = draw(characters.length);
  switch (draw(5)) {
    case 0:
      return word.slice(0, 100);
    case 1:
      return characters.slice(from, from + 1 + draw(6)).join("");
    case 2: {
      const at = draw(words.length);
      return `"${words
        .slice(at, at + 2)
        .join(" ")
        .slice(0, 200)}"`;
    }
    case 3:
      return `${word.slice(0, 60)} ${words[draw(words.length)]!.slice(0, 60)}`;
    default:
      return characters[from]!;
  }
}

describeStacks("the whole of it", (stack) => {
  const folder = mkdtempSync(join(tmpdir(), "parley-whole-"));
  let place: Place;
  let parley: Running;

  before(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Imports lines and returns the bodies of each chat, as they must be found. */
  async function load(lines: Line[]): Promise<{ token: string; chats: string[][] }> {
    const file = join(folder, `${stack}.jsonl`);
    writeFileSync(file, lines.map((line) => JSON.stringify(line)).join("\n"));
    const result = await importFile({
      file,
      target: parley.target,
      applicationName: "whole",
      badLine: (line, why) => expect.fail(`line ${line}: ${why}`),
    });
    const names = [...new Set(lines.map((line) => line.chat))];
    const chats = names.map((name) =>
      lines.filter((line) => line.chat === name).map((line) => line.body),
    );
    expect(result).to.deep.include({ chats: chats.length, messages: lines.length, badLines: 0 });
    return { token: result.applicationToken, chats };
  }

  const range = (length: number) => Array.from({ length }, (_, at) => at + 1);

  /** Every chat is 1 to n with the right bodies: in the API, in the rows and in the index. */
  async function expectDense(token: string, chats: string[][]): Promise<void> {
    const { store, index } = parley.system.stack;
    for (const [at, bodies] of chats.entries()) {
      const key = { applicationToken: token, chatNumber: at + 1 };
      const { messages, voids } = await parley.clients.listMessages({ ...key, pageSize: 1_000 });
      expect(messages.map((one) => one.number)).to.deep.equal(range(bodies.length));
      expect(messages.map((one) => one.body)).to.deep.equal(bodies);
      expect(voids).to.deep.equal([]);
      const whole = { firstNumber: 1, lastNumber: bodies.length + 1_000 };
      while ((await index.count(key, whole)) < bodies.length) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      const extent = { count: bodies.length, lastNumber: bodies.length };
      expect(await index.extent(key)).to.deep.equal(extent);
      const page = {
        after: 0,
        before: Number.POSITIVE_INFINITY,
        order: "asc",
        limit: 1_001,
      } as const;
      expect((await store.listMessages(key, page)).map((row) => row.body)).to.deep.equal(bodies);
    }
  }

  /** Queries find exactly what a plain scan of the folded bodies finds. */
  async function expectFound(token: string, chats: string[][], queries: number): Promise<number> {
    const draw = drawer(20_261_124);
    const folded = chats.map((bodies) => bodies.map(foldText));
    let hits = 0;
    for (let at = 0; at < queries; at++) {
      const chat = draw(chats.length);
      const bodies = chats[chat]!;
      const query = queryFrom(bodies[draw(bodies.length)]!, draw);
      const parts = parseQuery(query);
      if (parts.length === 0) continue;
      const expected = range(bodies.length)
        .filter((number) => matches(folded[chat]![number - 1]!, parts))
        .reverse();
      const key = { applicationToken: token, chatNumber: chat + 1 };
      const answer = await parley.clients.searchMessages({ ...key, query, pageSize: 1_000 });
      expect(
        answer.results.map((one) => one.message!.number),
        query,
      ).to.deep.equal(expected);
      expect(answer.indexedThroughNumber).to.equal(bodies.length);
      for (const { message, segments } of answer.results) {
        expect(segments.map((one) => one.text).join("")).to.equal(message!.body);
        expect(segments.some((one) => one.match)).to.equal(true);
      }
      hits += expected.length;
    }
    return hits;
  }

  it("imports conversations, numbers them without a gap, finds and counts them", async () => {
    const { token, chats } = await load(conversations());
    await expectDense(token, chats);
    expect(await expectFound(token, chats, 300)).to.be.above(300);

    await syncCounts(parley.system.stack, () => new Date());
    const { application } = await parley.clients.getApplication({ applicationToken: token });
    expect(application!.chatsCount).to.equal(chats.length);
    const listed = await parley.clients.listChats({ applicationToken: token, pageSize: 1_000 });
    expect(listed.chats.map((chat) => chat.messagesCount)).to.deep.equal(
      chats.map((bodies) => bodies.length),
    );
  }).timeout(180_000);

  it("finds any piece of any script, as a plain scan does", async () => {
    const { token, chats } = await load(scripts());
    await expectDense(token, chats);
    expect(await expectFound(token, chats, 300)).to.be.above(300);
  }).timeout(120_000);
});
