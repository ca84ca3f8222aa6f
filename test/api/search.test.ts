import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import { describeStacks, refusalOf, useSystem } from "../support/system.ts";

describeStacks("search", (stack) => {
  const parley = useSystem(stack);
  let key: { applicationToken: string; chatNumber: number };

  beforeEach(async () => {
    const answer = await parley.clients.createApplication({ application: { name: "search" } });
    const applicationToken = answer.application!.token;
    await parley.clients.createChat({ applicationToken });
    key = { applicationToken, chatNumber: 1 };
  });

  /** Creates messages and returns when all of them are searchable. */
  async function say(...bodies: string[]): Promise<void> {
    await Promise.all(
      bodies
        .slice(0, -1)
        .map((body) => parley.clients.createMessage({ ...key, message: { body } })),
    );
    const body = bodies[bodies.length - 1]!;
    const waitFor = State.STATE_SEARCHABLE;
    await parley.clients.createMessage({ ...key, message: { body }, waitFor });
    for (;;) {
      const answer = await parley.clients.searchMessages({ ...key, query: "x" });
      if (answer.indexedThroughNumber >= bodies.length) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async function found(query: string): Promise<string[]> {
    const { results } = await parley.clients.searchMessages({ ...key, query });
    return results.map((one) => one.message!.body).sort();
  }

  it("finds words, parts of words, quoted parts and single letters, in any script", async () => {
    await say(
      "The quick brown fox",
      "brown The fox quick",
      "Café au lait, Straße, ΕΛΛΆΣ",
      "Съешь ещё этих мягких булок",
      "日本語の文章、東京タワー",
      "สวัสดีชาวโลก",
      "السَّلَامُ عَلَيْكُمْ",
      "ｆｕｌｌ ｗｉｄｔｈ",
    );
    expect(await found("quick fox")).to.have.length(2);
    expect(await found('"quick brown"')).to.deep.equal(["The quick brown fox"]);
    expect(await found("row qui")).to.have.length(2);
    expect(await found("CAFE strasse ελλας")).to.deep.equal(["Café au lait, Straße, ΕΛΛΆΣ"]);
    expect(await found("ЕЩЕ")).to.deep.equal(["Съешь ещё этих мягких булок"]);
    expect(await found("京")).to.deep.equal(["日本語の文章、東京タワー"]);
    expect(await found("東京タ")).to.deep.equal(["日本語の文章、東京タワー"]);
    expect(await found("ชาว")).to.deep.equal(["สวัสดีชาวโลก"]);
    expect(await found("السلام")).to.deep.equal(["السَّلَامُ عَلَيْكُمْ"]);
    expect(await found("full width")).to.deep.equal(["ｆｕｌｌ ｗｉｄｔｈ"]);
    expect(await found("q")).to.have.length(2);
    expect(await found("absent")).to.deep.equal([]);
  });

  it("marks what matched in the original text, newest first", async () => {
    await say("a Straße here", "nothing", "STRASSE strasse");
    const { results } = await parley.clients.searchMessages({ ...key, query: "strasse" });
    expect(results.map((one) => one.message!.number)).to.deep.equal([3, 1]);
    expect(results[0]!.segments).to.deep.equal([
      { text: "STRASSE", match: true },
      { text: " ", match: false },
      { text: "strasse", match: true },
    ]);
    expect(results[1]!.segments).to.deep.equal([
      { text: "a ", match: false },
      { text: "Straße", match: true },
      { text: " here", match: false },
    ]);
    expect(results[1]!.message!.state).to.equal(State.STATE_SEARCHABLE);
  });

  it("pages without a repeat or a miss, and binds its token to the query", async () => {
    await say(...Array.from({ length: 23 }, (_, at) => `page ${at}`));
    const numbers: number[] = [];
    let pageToken = "";
    do {
      const page = await parley.clients.searchMessages({
        ...key,
        query: "page",
        pageSize: 5,
        pageToken,
      });
      numbers.push(...page.results.map((one) => one.message!.number));
      pageToken = page.nextPageToken;
      if (pageToken !== "") {
        const other = parley.clients.searchMessages({ ...key, query: "pag", pageToken });
        expect((await refusalOf(other)).reason).to.equal("PAGE_TOKEN_INVALID");
      }
    } while (pageToken !== "");
    expect(numbers).to.deep.equal(Array.from({ length: 23 }, (_, at) => 23 - at));
  });

  it("ends a page before its segments outgrow what a client accepts", async () => {
    await say(...Array.from({ length: 60 }, () => "a ".repeat(8_000)));
    const first = await parley.clients.searchMessages({ ...key, query: "a" });
    expect(first.results.length).to.be.within(5, 49);
    expect(first.nextPageToken).to.not.equal("");
  });

  it("never shows another chat's messages", async () => {
    await say("secret of one");
    const { applicationToken } = key;
    await parley.clients.createChat({ applicationToken });
    const other = { applicationToken, chatNumber: 2 };
    const { results } = await parley.clients.searchMessages({ ...other, query: "secret" });
    expect(results).to.deep.equal([]);
  });

  it("takes signs that mean something to an engine as plain text", async () => {
    const signs = ["a AND b", "x* OR y", "(paren)", "col:on", "per%cent_", "back\\slash", "-minus"];
    await say(...signs);
    for (const sign of signs) {
      expect(await found(sign.replaceAll('"', "")), sign).to.include(sign);
    }
    expect(await found("NEAR")).to.deep.equal([]);
    expect(await found('"')).to.deep.equal([]);
  });
});
