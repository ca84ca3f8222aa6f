import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { expect } from "chai";
import { exportApplication, reopenExport } from "../../src/transfer/export.ts";
import { type ImportOptions, importFile } from "../../src/transfer/import.ts";
import { runCommand } from "../support/command.ts";
import { freshFolder } from "../support/door.ts";
import { describeStacks, useSystem } from "../support/system.ts";

describeStacks("import and export", (stack) => {
  const parley = useSystem(stack);
  const folder = freshFolder();
  after(() => folder.drop());
  let files = 0;

  /** Imports lines from a file of their own. */
  async function load(lines: string[], options: Partial<ImportOptions> = {}) {
    const file = folder.path(`${++files}.jsonl`);
    writeFileSync(file, lines.join("\n"));
    return loadFile(file, options);
  }

  async function loadFile(file: string, options: Partial<ImportOptions> = {}) {
    const shown: string[] = [];
    const result = await importFile({
      file,
      target: parley.target,
      applicationName: "imported",
      badLine: (line, why) => shown.push(`line ${line}: ${why}`),
      ...options,
    });
    expect(existsSync(`${file}.parley-import`)).to.equal(false);
    return { ...result, shown };
  }

  async function save(applicationToken: string): Promise<string> {
    let written = "";
    const write = async (lines: string) => {
      written += lines;
    };
    await exportApplication({ target: parley.target, applicationToken, write });
    return written;
  }

  /** What was exported gives the same when it is imported and exported again. */
  async function expectSame(written: string, sum: { chats: number; messages: number }) {
    const file = folder.path(`${++files}.jsonl`);
    writeFileSync(file, written);
    const again = await loadFile(file);
    expect(again).to.deep.include({ ...sum, badLines: 0, shown: [] });
    expect(await save(again.applicationToken)).to.equal(written);
  }

  const line = (value: object) => JSON.stringify(value);

  it("numbers chats by their first line and messages by their order, lines mixed", async () => {
    const lines = ["7 one", "3 one", "7 two", "3 two", "3 three", "7 three"].map((body) =>
      line({ chat: Number(body[0]), number: 9, author: "a", body }),
    );
    const result = await load(lines);
    expect(result).to.deep.include({ chats: 2, messages: 6, badLines: 0 });
    const { applicationToken } = result;
    for (const [chatNumber, chat] of [
      [1, 7],
      [2, 3],
    ] as const) {
      const { messages } = await parley.clients.listMessages({ applicationToken, chatNumber });
      const bodies = ["one", "two", "three"].map((word) => `${chat} ${word}`);
      expect(messages.map((one) => one.body)).to.deep.equal(bodies);
      expect(messages.map((one) => one.number)).to.deep.equal([1, 2, 3]);
    }
  });

  it("leaves nothing to go on with where the application is not there", async () => {
    const file = folder.path("refused.jsonl");
    writeFileSync(file, line({ chat: 1, body: "a" }));
    for (const applicationToken of ["nope", "31429462-3a09-4d49-9478-a9bb932ccd86"]) {
      const refused = await loadFile(file, { applicationToken }).catch((error) => error);
      expect(refused.message).to.match(/INVALID_ARGUMENT|NOT_FOUND/);
      expect(existsSync(`${file}.parley-import`)).to.equal(false);
    }
    expect(await loadFile(file)).to.deep.include({ messages: 1, badLines: 0 });
  });

  it("says which file is not there", async () => {
    const file = folder.path("missing.jsonl");
    const { code, stderr } = await runCommand({}, "import", "--file", file);
    expect(code).to.equal(1);
    expect(stderr).to.equal(`parley import: ${file}: no such file or directory\n`);
  });

  it("leaves no file of an export that the server refused", async () => {
    const file = folder.path("refused-export.jsonl");
    const to = ["--file", file, "--target", parley.target, "--application"];
    const missing = "31429462-3a09-4d49-9478-a9bb932ccd86";
    const { code, stderr } = await runCommand({}, "export", ...to, missing);
    expect(code).to.equal(1);
    expect(stderr).to.contain(`there is no application ${missing}`);
    const wrong = await runCommand({}, "export", ...to, "nope");
    expect(wrong.code).to.equal(2);
    expect(wrong.stderr).to.contain("must be a lower-case UUID");
    expect(existsSync(file)).to.equal(false);
  });

  it("takes every separator but a line feed as text", async () => {
    const body = "one\u2028two\u2029three\u0085four";
    const result = await load([`${line({ chat: 1, body })}\r`, ""]);
    expect(result).to.deep.include({ messages: 1, badLines: 0 });
    const { applicationToken } = result;
    const { messages } = await parley.clients.listMessages({ applicationToken, chatNumber: 1 });
    expect(messages[0]!.body).to.equal(body);
  });

  it("ends with the server's reason where no line is at fault", async () => {
    const applicationToken = "00000000-0000-4000-8000-000000000000";
    const lines = Array.from({ length: 2_000 }, () => '{"chat":1,"body":"x"}');
    const error = await load(lines, { applicationToken }).then(
      () => expect.fail("the import went through"),
      (reason: Error) => reason,
    );
    expect(error.message).to.contain(`there is no application ${applicationToken}`);
  });

  it("reports bad lines with their numbers and why, and goes on with the rest", async () => {
    const result = await load([
      line({ chat: 1, external_id: "first", attributes: { lang: "en" } }),
      line({ chat: 1, body: "good" }),
      "{nonsense",
      '{"chat":1,"author":"ann"}',
      "",
      line({ chat: 1, body: "x".repeat(16_385) }),
      line({ chat: 1, body: "nul\0" }),
      line({ chat: 1, body: "good too", original_time: "2001-02-03T04:05:06.789Z" }),
      line({ chat: 1, body: "when", original_time: "yesterday" }),
      line({ chat: 1, external_id: "too late" }),
      line({ chat: 2, external_id: "x".repeat(256) }),
      line({ chat: 2, body: "all the same" }),
      line({ chat: 2, body: "long" }) + " ".repeat(1024 * 1024),
      line({ chat: 1, deleted: true, body: "x" }),
    ]);
    expect(result).to.deep.include({ chats: 2, messages: 3 });
    expect(result.shown.sort().join("\n")).to.match(
      new RegExp(
        [
          "line 10: chat: is there already, so what is said of it comes too late",
          "line 11: external_id: must be .*255 characters.*",
          "line 13: is longer than 1048576 bytes",
          "line 14: body: must not be there where deleted is true",
          "line 3: is no JSON",
          "line 4: body: must be there, and text",
          "line 6: body: must be 1 to 16384 bytes.*",
          "line 7: body: must be 1 to 16384 bytes.*",
          "line 9: original_time: must be a time as RFC 3339 says it",
        ].join("\n"),
      ),
    );
    expect(result.badLines).to.equal(9);
  });

  it("reports text that could not be stored as it stands, and stores nothing like it", async () => {
    const half = "half \ud83d";
    const whole = "must be text without half a surrogate pair";
    const result = await load([
      line({ chat: 1, body: half }),
      line({ chat: 1, body: "by", author: half }),
      line({ chat: 1, body: "with", attributes: { kept: half } }),
      line({ chat: 1, body: "with", attributes: { [half]: "kept" } }),
      '{"chat":1,"body":"with","attributes":{"__proto__":"lost","kept":"yes"}}',
      line({ chat: 2, external_id: half }),
      line({ chat: half, body: "in" }),
      line({ chat: 1, body: "whole \u{1f600}", attributes: { constructor: "kept" } }),
    ]);
    expect(result.shown).to.deep.equal([
      `line 1: body: ${whole}`,
      `line 2: author: ${whole}`,
      `line 3: attributes.kept: ${whole}`,
      `line 4: attributes.${half}: ${whole}`,
      "line 5: attributes: must not have the key __proto__",
      `line 6: external_id: ${whole}`,
      `line 7: chat: ${whole}`,
    ]);
    expect(result).to.deep.include({ chats: 1, messages: 1, badLines: 7 });
    const { applicationToken } = result;
    const { messages } = await parley.clients.listMessages({ applicationToken, chatNumber: 1 });
    expect(messages[0]).to.deep.include({
      body: "whole \u{1f600}",
      attributes: { constructor: "kept" },
    });
  });

  it("gives the same file when an export is imported and exported again", async () => {
    const time = "1999-12-31T23:59:59.999Z";
    const { applicationToken, shown } = await load([
      line({ chat: "support", external_id: "support/1", attributes: { b: "2", a: "1" } }),
      line({ chat: "support", author: "ann", body: "first", original_time: time }),
      line({ chat: "support", body: '"quoted"\n\u2028 סימן 😀', attributes: { lang: "he" } }),
      line({ chat: "nobody wrote", attributes: {} }),
      line({ chat: "other", attributes: { empty: "" } }),
      line({ chat: "other", author: "bo", body: "last" }),
    ]);
    expect(shown).to.deep.equal([]);
    const written = await save(applicationToken);
    const lines = written
      .trimEnd()
      .split("\n")
      .map((one) => JSON.parse(one));
    expect(lines.map((one) => one.chat)).to.deep.equal([1, 1, 1, 2, 3, 3]);
    const first = { chat: 1, number: 1, author: "ann", body: "first", original_time: time };
    expect(lines[1]).to.deep.equal(first);
    await expectSame(written, { chats: 3, messages: 3 });
  });

  it("keeps the numbers of messages that were deleted", async () => {
    const time = "1999-12-31T23:59:59.999Z";
    const { applicationToken, shown } = await load([
      line({ chat: 1, author: "bo", deleted: true, original_time: time }),
      line({ chat: 1, author: "bo", body: "last" }),
    ]);
    expect(shown).to.deep.equal([]);
    const written = await save(applicationToken);
    const lines = written
      .trimEnd()
      .split("\n")
      .map((one) => JSON.parse(one));
    const tombstone = { chat: 1, number: 1, author: "bo", deleted: true, original_time: time };
    expect(lines[1]).to.deep.equal(tombstone);
    expect(lines[2]).to.include({ number: 2, body: "last" });
    await expectSame(written, { chats: 1, messages: 2 });
  });

  it("goes on with an export whose end was cut off, wherever that was", async () => {
    const chats = [1, 2, 3].flatMap((chat) =>
      [1, 2, 3].map((at) => line({ chat, body: `${chat} ${at} ${"ü".repeat(20)}` })),
    );
    const { applicationToken } = await load(chats);
    const whole = Buffer.from(await save(applicationToken));
    const file = folder.path("cut.jsonl");
    for (const bytes of [0, 10, 40, 300, whole.length - 1, whole.length]) {
      writeFileSync(file, whole.subarray(0, bytes));
      const { handle, after } = await reopenExport(file);
      const write = (lines: string) => handle.appendFile(lines);
      await exportApplication({ target: parley.target, applicationToken, after, write });
      await handle.close();
      expect(readFileSync(file).equals(whole), `cut at ${bytes}`).to.equal(true);
    }
  });
});
