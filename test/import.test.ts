import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { expect } from "chai";
import { importFile } from "../src/import.ts";
import { describeStacks, freshPlace, type Place, type Running, start } from "./support/system.ts";

describeStacks("import", (stack) => {
  let place: Place;
  let parley: Running;
  const folder = mkdtempSync(join(tmpdir(), "parley-import-"));

  before(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
    rmSync(folder, { recursive: true });
  });

  async function load(lines: string[]) {
    const file = join(folder, "lines.jsonl");
    writeFileSync(file, lines.join("\n"));
    let shown = "";
    const output = new Writable({
      write: (chunk, _encoding, done) => {
        shown += chunk;
        done();
      },
    }) as unknown as NodeJS.WriteStream;
    const { target } = parley;
    const result = await importFile({ file, target, applicationName: "imported", output });
    return { result, shown };
  }

  it("numbers chats by their first line and messages by their order, lines mixed", async () => {
    const line = (chat: number, body: string) =>
      JSON.stringify({ chat, number: 9, author: "a", body });
    const lines = ["7 one", "3 one", "7 two", "3 two", "3 three", "7 three"].map((text) =>
      line(Number(text[0]), text),
    );
    const { result } = await load(lines);
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

  it("takes every separator but a line feed as text", async () => {
    const body = "one\u2028two\u2029three\u0085four";
    const { result } = await load([`${JSON.stringify({ chat: 1, body })}\r`, ""]);
    expect(result).to.deep.include({ messages: 1, badLines: 0 });
    const { applicationToken } = result;
    const { messages } = await parley.clients.listMessages({ applicationToken, chatNumber: 1 });
    expect(messages[0]!.body).to.equal(body);
  });

  it("ends with the server's reason where no line is at fault", async () => {
    const file = join(folder, "many.jsonl");
    writeFileSync(file, '{"chat":1,"body":"x"}\n'.repeat(2_000));
    const output = new Writable({
      write: (_c, _e, done) => done(),
    }) as unknown as NodeJS.WriteStream;
    const applicationToken = "00000000-0000-4000-8000-000000000000";
    const { target } = parley;
    const run = importFile({ file, target, applicationToken, applicationName: "", output });
    const error = await run.then(
      () => expect.fail("the import went through"),
      (reason: Error) => reason,
    );
    expect(error.message).to.contain(`there is no application ${applicationToken}`);
  });

  it("reports a bad line with its number and why, and goes on with the rest", async () => {
    const { result, shown } = await load([
      '{"chat":1,"body":"good"}',
      "{nonsense",
      '{"chat":1}',
      "",
      JSON.stringify({ chat: 1, body: "x".repeat(16_385) }),
      '{"chat":1,"body":"good too"}',
    ]);
    expect(result).to.deep.include({ chats: 1, messages: 2, badLines: 3 });
    expect(shown).to.match(/line 2: is no JSON/);
    expect(shown).to.match(/line 3: body: must be there/);
    expect(shown).to.match(/line 5: message.body: must be 1 to 16384 bytes/);
  });
});
