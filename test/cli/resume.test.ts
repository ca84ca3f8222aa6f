import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { expect } from "chai";
import { importFile } from "../../src/transfer/import.ts";
import { ImportState } from "../../src/transfer/state.ts";
import { readWindows, type Window } from "../../src/transfer/window.ts";
import { spawnCommand } from "../support/command.ts";
import { freshFolder } from "../support/door.ts";
import { freshPlace, type Place, type Running, refusalIn, start } from "../support/system.ts";

const CHATS = 3;
const LINES = 12_000;

/** Calls again as long as the rate of the application is used up. */
async function patiently<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const { reason, retryMs } = refusalIn(error);
      if (reason !== "RATE_LIMITED") throw error;
      await pause(retryMs);
    }
  }
}

describe("an import that is interrupted", () => {
  const folder = freshFolder();
  let place: Place;
  let parley: Running;

  before(async () => {
    place = await freshPlace("embedded");
    // Slow enough to be interrupted, and what was sent is forgotten before it is sent again.
    const slow = { PARLEY_RATE_LIMIT: "8", PARLEY_RATE_BURST: "4", PARLEY_REQUEST_ID_TTL: "1" };
    parley = await start(place, ["api", "worker"], slow);
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
    folder.drop();
  });

  it("goes on without doubling or losing a line, after SIGKILL and after SIGINT", async () => {
    const file = folder.path("lines.jsonl");
    const bodies = Array.from({ length: LINES }, (_, at) => `line ${Math.floor(at / CHATS)}`);
    const lines = bodies.map((body, at) => JSON.stringify({ chat: at % CHATS, body }));
    lines.splice(5_000, 0, '{"chat":0,"body":""}', JSON.stringify({ chat: 1, body: "\0" }));
    writeFileSync(file, lines.join("\n"));
    const { target, clients } = parley;

    let applicationToken = "";
    const counters = () => [1, 2, 3].map((chatNumber) => ({ applicationToken, chatNumber }));
    const given = async () => {
      const { applications } = await patiently(() => clients.listApplications({}));
      applicationToken = applications[0]?.token ?? "";
      if (applicationToken === "") return 0;
      const counts = await parley.system.stack.intake.counts(counters());
      return counts.reduce((sum: number, count) => sum + (count ?? 0), 0);
    };
    const interrupted = async (signal: NodeJS.Signals, least: number) => {
      const child = spawnCommand(place.env, "import", "--file", file, "--target", target);
      let said = "";
      child.stderr!.on("data", (text) => {
        said += text;
      });
      const ended = once(child, "close");
      try {
        while ((await given()) < least && child.exitCode === null) await pause(200);
      } finally {
        child.kill(signal);
      }
      const [code] = await ended;
      return { code, said };
    };
    expect(await interrupted("SIGKILL", 1)).to.include({ code: null });
    const { code, said } = await interrupted("SIGINT", (await given()) + 1);
    expect(code).to.equal(130);
    expect(said).to.include("Interrupted: the same command goes on where it was");
    const before = await given();
    expect(before).to.be.below(LINES);

    const bad: number[] = [];
    const badLine = (line: number) => bad.push(line);
    const rest = await importFile({ file, target, applicationName: "x", badLine });
    expect(rest).to.include({ applicationToken, chats: CHATS, messages: LINES, badLines: 2 });
    expect(bad.every((line) => [5_001, 5_002].includes(line))).to.equal(true);
    expect(existsSync(`${file}.parley-import`)).to.equal(false);
    for (const [at, { chatNumber }] of counters().entries()) {
      const there: string[] = [];
      while (there.length <= LINES) {
        const page = { applicationToken, chatNumber, pageSize: 1_000, afterNumber: there.length };
        const { messages } = await patiently(() => clients.listMessages(page));
        if (messages.length === 0) break;
        there.push(...messages.map(({ body }) => body));
      }
      const expected = bodies.filter((_, index) => index % CHATS === at);
      expect(there.length, `of chat ${chatNumber}`).to.equal(expected.length);
      expect(there).to.deep.equal(expected);
    }
  }).timeout(60_000);

  it("is refused for another file, or beside itself", async () => {
    const [file, other] = [folder.path("a.jsonl"), folder.path("b.jsonl")];
    const statePath = folder.path("state");
    for (const one of [file, other]) writeFileSync(one, JSON.stringify({ chat: one, body: "x" }));
    const state = await ImportState.open(statePath, file);
    const options = { target: parley.target, statePath, applicationName: "", badLine: () => {} };
    const fails = (one: string) =>
      importFile({ ...options, file: one }).then(
        () => expect.fail("it went through"),
        (error: Error) => error.message,
      );
    expect(await fails(file)).to.include("another import is at work on this file");
    state.close();
    expect(await fails(other)).to.include("it is of another file");
  });

  it("has one window of the file in memory, whatever it holds", async () => {
    const windowsOf = async (name: string, lines: string[]): Promise<Window[]> => {
      const file = folder.path(name);
      writeFileSync(file, lines.join("\n"));
      const state = await ImportState.open(folder.path(`${name}.state`), file);
      const windows: Window[] = [];
      const from = { offset: 0, line: 0 };
      for await (const one of readWindows(file, from, state, () => {})) windows.push(one);
      await state.remove();
      return windows;
    };
    const many = Array.from({ length: 11_000 }, (_, chat) => JSON.stringify({ chat, body: "x" }));
    const chats = (await windowsOf("many.jsonl", many)).map((window) => window.chats.length);
    expect(chats).to.deep.equal([10_000, 1_000]);

    const long = JSON.stringify({ chat: 1, body: "x".repeat(16_384) });
    const windows = await windowsOf("long.jsonl", Array(1_100).fill(long));
    const sizes = windows.map((window, at) => window.offset - (windows[at - 1]?.offset ?? 0));
    expect(sizes.every((size) => size <= 16 * 1024 * 1024 + long.length + 1)).to.equal(true);
    const batches = windows.flatMap((window) => window.chats.flatMap((one) => one.batches));
    for (const batch of batches) expect(batch.length * 16_400).to.be.at.most(2 * 1024 * 1024);
    expect(batches.flat()).to.have.length(1_100);
  });
});
