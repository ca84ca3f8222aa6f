import { randomUUID } from "node:crypto";
import { expect } from "chai";
import fc from "fast-check";
import { foldText } from "../../src/core/fold.ts";
import { matches, parseQuery } from "../../src/core/query.ts";
import { drawn, patience, seedNote } from "../support/runs.ts";
import { describeStacks, refusalOf, useSystem } from "../support/system.ts";
import { AWKWARD_TEXTS, anyText } from "../support/texts.ts";

const BYTES_MAX = 16_384;

/** Bodies of the longest length there is, of what grows when it is folded, or melts into little. */
const LONGEST = [
  "x".repeat(BYTES_MAX),
  `${"é".repeat(8_191)}xx`,
  `${"\ufdfa".repeat(5_461)}x`,
  `${"\u3300".repeat(5_461)}x`,
  "😀".repeat(4_096),
  `${"\u{1f250}".repeat(4_095)}abcd`,
  `ab${"\u0301\u0323".repeat(4_095)}cd`,
  `${"क"}${"ि".repeat(5_460)}x`,
  `${"🇩🇪".repeat(2_047)}${"a".repeat(8)}`,
  "a ".repeat(8_192),
  "\u{10ffff}".repeat(4_096),
];

/** The first characters of a body that a query can look for. */
function queryFor(body: string): string | undefined {
  const characters = [...body.replaceAll('"', "")];
  for (const at of characters.keys()) {
    const query = characters.slice(at, at + 5).join("");
    if (parseQuery(query).length > 0) return query;
  }
  return undefined;
}

describeStacks(`texts that may get lost on their way, ${seedNote}`, (stack) => {
  const parley = useSystem(stack);
  let applicationToken: string;

  before(async () => {
    const name = "bodies";
    const { application } = await parley.clients.createApplication({ application: { name } });
    applicationToken = application!.token;
  });

  async function newChat() {
    const { chat } = await parley.clients.createChat({ applicationToken });
    return { applicationToken, chatNumber: chat!.number };
  }

  /** What is read in every way there is, after a while in which nothing is missing. */
  async function expectKept(bodies: string[], authorOf: (body: string) => string): Promise<void> {
    const { clients } = parley;
    const key = await newChat();
    for (const body of bodies) {
      const message = { body, author: authorOf(body) };
      const created = await clients.createMessage({ ...key, message });
      expect(created.message).to.include(message);
      const { number } = created.message!;
      const got = await clients.getMessage({ ...key, number });
      expect(got.message).to.include(message);
    }
    while (
      (await clients.searchMessages({ ...key, query: "x" })).indexedThroughNumber < bodies.length
    ) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const { messages } = await clients.listMessages({ ...key, pageSize: 1_000 });
    expect(messages.map((one) => one.body)).to.deep.equal(bodies);
    expect(messages.map((one) => one.author)).to.deep.equal(bodies.map(authorOf));
    const folded = bodies.map(foldText);
    for (const query of new Set(bodies.map(queryFor))) {
      if (query !== undefined) await expectFound(key, { query, bodies, folded });
    }
  }

  async function expectFound(
    key: { applicationToken: string; chatNumber: number },
    { query, bodies, folded }: { query: string; bodies: string[]; folded: string[] },
  ): Promise<void> {
    const parts = parseQuery(query);
    const found: number[] = [];
    let pageToken = "";
    do {
      const page = await parley.clients.searchMessages({ ...key, query, pageToken });
      for (const { message, segments } of page.results) {
        found.push(message!.number);
        expect(message!.body).to.equal(bodies[message!.number - 1]);
        expect(segments.map((one) => one.text).join("")).to.equal(message!.body);
        expect(segments.some((one) => one.match)).to.equal(true);
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    const expected = folded.flatMap((text, at) => (matches(text, parts) ? [at + 1] : [])).reverse();
    expect(found, JSON.stringify(query)).to.deep.equal(expected);
  }

  it("keeps every character of every plane, in bodies and authors, and finds it", async () => {
    const texts = fc.array(anyText, { minLength: 40, maxLength: 40 });
    const keep = (bodies: string[]) =>
      expectKept([...bodies, ...AWKWARD_TEXTS], (body) => [...body].slice(0, 255).join(""));
    await fc.assert(fc.asyncProperty(texts, keep), { ...drawn(1), endOnFailure: true });
  }).timeout(patience(60_000));

  it("keeps bodies of 16 KiB, whatever they fold to, and finds them", async () => {
    for (const body of LONGEST) expect(Buffer.byteLength(body)).to.be.within(16_380, BYTES_MAX);
    await expectKept(LONGEST, () => "");
  }).timeout(60_000);

  it("serves others while a page is marked whose bodies were meant to be slow", async () => {
    const { clients } = parley;
    const key = await newChat();
    const body = `x${"\u0301\u0323".repeat(4_095)}`;
    await Promise.all(
      Array.from({ length: 40 }, () => clients.createMessage({ ...key, message: { body } })),
    );
    const search = () => clients.searchMessages({ ...key, query: "x", pageSize: 1_000 });
    const through = async () => {
      return (await clients.searchMessages({ ...key, query: "absent" })).indexedThroughNumber;
    };
    while ((await through()) < 40) await new Promise((resolve) => setTimeout(resolve, 50));
    let found = false;
    const searching = search().then(() => {
      found = true;
    });
    // Each of these takes a moment, and the page takes a second at least.
    for (let at = 0; at < 3; at++) await clients.getChat({ applicationToken, number: 1 });
    expect(found).to.equal(false);
    await searching;
  }).timeout(60_000);

  it("refuses a byte more before a number is given", async () => {
    const { clients } = parley;
    const key = await newChat();
    for (const body of LONGEST) {
      const message = { body: `${body}${"x".repeat(BYTES_MAX + 1 - Buffer.byteLength(body))}` };
      expect(Buffer.byteLength(message.body)).to.equal(BYTES_MAX + 1);
      const requestId = randomUUID();
      const refusal = await refusalOf(clients.createMessage({ ...key, message, requestId }));
      expect(refusal.violations["message.body"]).to.match(/16384 bytes/);
    }
    const { message } = await clients.createMessage({ ...key, message: { body: "first" } });
    expect(message!.number).to.equal(1);
  });

  it("keeps names of applications as they are, through a change too", async () => {
    const { clients } = parley;
    const keep = async (text: string) => {
      const name = [...text].slice(0, 255).join("");
      const { application } = await clients.createApplication({ application: { name } });
      expect(application!.name).to.equal(name);
      const { token } = application!;
      const changed = await clients.updateApplication({ application: { token, name: `${name}.` } });
      expect(changed.application!.name).to.equal(`${name}.`);
      const got = await clients.getApplication({ applicationToken: token });
      expect(got.application!.name).to.equal(`${name}.`);
    };
    const short = anyText.filter((text) => [...text].length < 255);
    await fc.assert(fc.asyncProperty(short, keep), drawn(30));
  }).timeout(patience(30_000));
});
