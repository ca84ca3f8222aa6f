import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import type { SearchDocument, SearchIndex } from "../../src/core/ports.ts";
import { reindexOperation } from "../../src/operate/reindex.ts";
import { repairIndex } from "../../src/worker/chores.ts";
import { reindex } from "../../src/worker/reindex.ts";
import { runCommand, runHere, spawnCommand } from "../support/command.ts";
import { elasticOf } from "../support/servers.ts";
import { describeStacks, freshPlace, type Place, type Running, start } from "../support/system.ts";

const MESSAGES = 400;

describeStacks("reindex", (stack) => {
  let place: Place;
  let parley: Running;
  let key: { applicationToken: string; chatNumber: number };

  beforeEach(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    const applicationToken = application!.token;
    key = { applicationToken, chatNumber: 1 };
    for (const _ of [1, 2, 3]) await parley.clients.createChat({ applicationToken });
    const chats = Array.from({ length: MESSAGES }, (_, at) => 1 + (at % 3));
    await Promise.all(chats.map((chatNumber) => say(chatNumber)));
    await Promise.all([1, 2, 3].map((chatNumber) => say(chatNumber, State.STATE_SEARCHABLE)));
    await parley.system.stack.index.identity();
    await repairIndex(parley.system.stack);
  });
  afterEach(async () => {
    await parley?.stop();
    await place?.drop();
  });

  const say = async (chatNumber: number, waitFor: State = State.STATE_ACCEPTED) => {
    const message = { body: "a needle in the hay" };
    await parley.clients.createMessage({ ...key, chatNumber, message, waitFor });
  };

  async function found(chatNumber: number): Promise<{ numbers: Set<number>; through: number }> {
    const request = { ...key, chatNumber, query: "needle", pageSize: 1_000 };
    const { results, indexedThroughNumber } = await parley.clients.searchMessages(request);
    const numbers = new Set(results.map((one) => one.message!.number));
    return { numbers, through: indexedThroughNumber };
  }

  /** The names of the indices that there are; on SQLite those of the tables of an index. */
  async function indices(): Promise<string[]> {
    if (stack === "embedded") return [];
    const { url, alias } = elasticOf(place.env);
    const answer = await fetch(`${url}/${alias}-*?expand_wildcards=all`);
    return Object.keys((await answer.json()) as object);
  }

  /** Waits until every message can be found, and says so of no other number. */
  async function expectAllFound(perChat: (chatNumber: number) => Promise<number>): Promise<void> {
    for (const chatNumber of [1, 2, 3]) {
      const last = await perChat(chatNumber);
      const endMs = Date.now() + 15_000;
      for (;;) {
        const { numbers, through } = await found(chatNumber);
        expect(through).to.be.at.most(last);
        if (numbers.size === last && through === last) break;
        if (Date.now() > endMs) expect.fail(`${numbers.size} of ${last}, through ${through}`);
        await sleep(50);
      }
    }
  }

  const lastOf = async (chatNumber: number) =>
    (await parley.system.core.numbering.value({ ...key, chatNumber }))!;

  it("lets no search fail or miss what it found before, under writes", async function () {
    this.timeout(60_000);
    let running = true;
    let searches = 0;
    const search = async (chatNumber: number) => {
      let before = (await found(chatNumber)).numbers;
      while (running) {
        const { numbers, through } = await found(chatNumber);
        for (const number of before) {
          if (!numbers.has(number)) expect.fail(`chat ${chatNumber}: ${number} vanished`);
        }
        for (let number = 1; number <= through; number++) {
          if (number > numbers.size) expect.fail(`through ${through}, but ${numbers.size} found`);
        }
        before = numbers;
        searches++;
      }
    };
    const create = async (chatNumber: number) => {
      while (running) {
        await say(chatNumber);
        await sleep(5);
      }
    };
    const busy = Promise.all([search(1), search(2), create(1), create(2), create(3)]);
    const identity = await parley.system.stack.index.identity();
    const before = await indices();
    const ran = await runCommand(place.env, "reindex");
    await sleep(1_500);
    // However busy the machine is: enough of them, and some after the new index took over.
    for (const enough = searches + 10; searches < enough; ) await sleep(20);
    running = false;
    await busy;
    expect(ran).to.include({ code: 0 });
    expect(ran.stdout).to.match(/^(1 message|(?!1 )\d+ messages) indexed; the new index/);
    await expectAllFound(lastOf);
    expect(await parley.system.stack.index.identity()).to.equal(identity);
    expect(await parley.system.stack.store.adoptIndex(identity)).to.equal(false);
    if (stack === "production") {
      const after = await indices();
      expect(after).to.have.length(1);
      expect(after).to.not.deep.equal(before);
    }
  });

  it("that was killed leaves search as it was, and nothing behind the next", async function () {
    this.timeout(90_000);
    const expected = new Map<number, number>();
    for (const chatNumber of [1, 2, 3]) expected.set(chatNumber, await lastOf(chatNumber));
    if (stack === "embedded") await parley.stop();
    for (let kill = 0; kill < 3; kill++) {
      const child = spawnCommand(place.env, "reindex");
      const ended = once(child, "exit");
      await Promise.race([sleep(300 + Math.random() * 2_700), ended]);
      child.kill("SIGKILL");
      await ended;
    }
    const ran = await runCommand(place.env, "reindex");
    expect(ran, ran.stderr).to.include({ code: 0 });
    if (stack === "embedded") parley = await start(place);
    await expectAllFound(async (chatNumber) => expected.get(chatNumber)!);
    if (stack === "production") expect(await indices()).to.have.length(1);
  });

  it("refuses to run beside another one", async () => {
    const { index } = parley.system.stack;
    const rebuild = await index.rebuild();
    const ran = await runCommand(place.env, "reindex");
    expect(ran.code).to.equal(1);
    expect(ran.stderr).to.include("rebuil");
    await rebuild.abandon();
    await expectAllFound(lastOf);
  });

  it("that is told to stop leaves everything as it was", async () => {
    const { stack } = parley.system;
    const stop = new AbortController();
    const run = { signal: stop.signal, progress: () => stop.abort(new Error("told to stop")) };
    const error = await reindex(stack, run).catch((reason: Error) => reason);
    expect(error).to.be.instanceOf(Error).with.property("message", "told to stop");
    if (stack.name === "production") expect(await indices()).to.have.length(1);
    else expect(await stack.examine().then((all) => JSON.stringify(all))).to.not.include("reindex");
    await expectAllFound(lastOf);
  });

  it("notes what the new index lacks all the same, and what it refuses", async () => {
    const { stack } = parley.system;
    const index = Object.create(stack.index) as SearchIndex;
    // As if a process of an older version had written to the old one alone; and one is refused.
    index.rebuild = async () => {
      const rebuild = await stack.index.rebuild();
      const write = async (documents: SearchDocument[]) => {
        const lost = (one: SearchDocument) => one.number === 5 && one.chatNumber < 3;
        await rebuild.index(documents.filter((one) => !lost(one)));
        return documents.map((one) => {
          return lost(one) && one.chatNumber === 2 ? new Error("refused") : undefined;
        });
      };
      const [finish, abandon] = [() => rebuild.finish(), () => rebuild.abandon()];
      return { index: write, finish, abandon };
    };
    const { signal } = new AbortController();
    const run = { signal, progress: () => {} };
    const done = await reindex({ ...stack, index }, run);
    expect(done).to.include({ refused: 1, lacking: 2 });
    const gaps = await stack.store.listGaps(10);
    expect(gaps.map((one) => one.chatNumber)).to.deep.equal([1, 2]);
    expect((await found(1)).through).to.be.below(5);
    await repairIndex(stack);
    await expectAllFound(lastOf);
    expect(await stack.store.listGaps(10)).to.deep.equal([]);
  });

  it("takes into the new index what the old one lacks", async () => {
    const { index, store } = parley.system.stack;
    const rebuild = await index.rebuild();
    await rebuild.finish();
    expect((await found(1)).numbers.size).to.equal(0);
    expect(await runHere(reindexOperation, {}, parley)).to.include({ code: 0 });
    await expectAllFound(lastOf);
    expect(await store.listGaps(10)).to.deep.equal([]);
  });
});
