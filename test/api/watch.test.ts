import { expect } from "chai";
import { decodeJob, jobIdOf } from "../../src/core/jobs.ts";
import type { ChatKey } from "../../src/core/ports.ts";
import { randomFrom, seed } from "../support/random.ts";
import { describeStacks, type Running, refusalIn, useSystem } from "../support/system.ts";

/** They look often, so that what has no hint is seen soon, too. */
const OFTEN = { watch: { lookMs: 50 } };

async function newChat({ clients }: Running): Promise<ChatKey> {
  const { application } = await clients.createApplication({ application: { name: "watched" } });
  const applicationToken = application!.token;
  await clients.createChat({ applicationToken });
  return { applicationToken, chatNumber: 1 };
}

async function say({ clients }: Running, key: ChatKey, count: number): Promise<void> {
  const calls = Array.from({ length: count }, (_, at) =>
    clients.createMessage({ ...key, message: { body: `${at}` } }),
  );
  await Promise.all(calls);
}

const numbered = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, at) => `message ${first + at}`);

describeStacks(`who watches a chat, seed ${seed}`, (stack) => {
  const random = randomFrom(seed);
  const draw = (below: number) => Math.floor(random() * below);
  const parley = useSystem(stack, ["api", "worker"], OFTEN);
  const watch = (key: ChatKey, from: { afterNumber?: number; afterChange?: number } = {}) =>
    parley.clients.watchMessages({ ...key, ...from });

  const edit = (key: ChatKey, number: number, body: string) =>
    parley.clients.updateMessage({ ...key, number, message: { body } });

  it("is sent what is there, then that this was all, then what is new", async () => {
    const key = await newChat(parley);
    const none = watch(key);
    await none.heard("caughtUp");
    await say(parley, key, 3);
    await none.heard("message 3");
    const all = watch(key);
    const later = watch(key, { afterNumber: 2 });
    const far = watch(key, { afterNumber: 5 });
    for (const one of [all, later, far]) await one.heard("caughtUp");
    await say(parley, key, 300);
    for (const one of [none, all, later, far]) {
      await one.heard("message 303");
      await one.cancel();
    }
    expect(none.words).to.deep.equal(["caughtUp", ...numbered(1, 303)]);
    expect(all.words).to.deep.equal([...numbered(1, 3), "caughtUp", ...numbered(4, 303)]);
    expect(later.words).to.deep.equal(["message 3", "caughtUp", ...numbered(4, 303)]);
    expect(far.words).to.deep.equal(["caughtUp", ...numbered(6, 303)]);
  });

  it("is sent a long backlog in its order, and what comes meanwhile behind it", async () => {
    const key = await newChat(parley);
    await say(parley, key, 1_000);
    const all = watch(key);
    await all.heard("message 300");
    await say(parley, key, 500);
    await all.heard("message 1500");
    await all.cancel();
    const said = all.words.filter((word) => word !== "caughtUp");
    expect(said).to.deep.equal(numbered(1, 1_500));
    expect(all.words.indexOf("caughtUp")).to.be.at.least(1_000);
  });

  it("misses and repeats nothing where it is cut and goes on, while others write", async () => {
    const key = await newChat(parley);
    const total = 600;
    const writing = Promise.all([1, 2, 3].map(() => say(parley, key, total / 3)));
    const seen: string[] = [];
    let at = { afterNumber: 0, afterChange: 0 };
    while (at.afterNumber < total) {
      const one = watch(key, at);
      await one.heard(`message ${Math.min(total, at.afterNumber + 1 + draw(120))}`);
      await one.cancel();
      seen.push(...one.words.filter((word) => word !== "caughtUp"));
      at = one.at();
    }
    await writing;
    expect(seen).to.deep.equal(numbered(1, total));
  });

  it("hears of edits of what it has, and of those made while it was away, once", async () => {
    const key = await newChat(parley);
    await say(parley, key, 3);
    const some = watch(key, { afterNumber: 1 });
    await some.heard("message 3", "caughtUp");
    await edit(key, 2, "edited");
    await edit(key, 1, "before what it has");
    await some.heard('changed 1 "before what it has"');
    await some.cancel();
    const changes = some.words.slice(3);
    expect(changes).to.deep.equal(['changed 2 "edited"', 'changed 1 "before what it has"']);
    expect(some.at()).to.deep.equal({ afterNumber: 3, afterChange: 2 });

    for (const body of ["a", "b", "c"]) await edit(key, 3, body);
    await say(parley, key, 1);
    await parley.clients.watchMessages({ ...key, afterNumber: 3 }).heard("message 4");
    await edit(key, 4, "not seen as it was");
    const next = watch(key, some.at());
    await next.heard("caughtUp");
    await next.cancel();
    expect(next.words).to.deep.equal(['changed 3 "c"', "message 4", "caughtUp"]);
    expect(next.messages.map(({ body }) => body)).to.deep.equal(["not seen as it was"]);
    const again = watch(key, next.at());
    await again.heard("caughtUp");
    await again.cancel();
    expect(again.words).to.deep.equal(["caughtUp"]);
  });

  it("hears of the first edit of a chat, made while it was away", async () => {
    const key = await newChat(parley);
    await say(parley, key, 1);
    const before = watch(key);
    await before.heard("message 1", "caughtUp");
    await before.cancel();
    await edit(key, 1, "first");
    const next = watch(key, before.at());
    await next.heard("caughtUp");
    await next.cancel();
    expect(next.words).to.deep.equal(['changed 1 "first"', "caughtUp"]);
  });

  it("comes to the same messages as the rows, whatever is edited while it is cut", async () => {
    const key = await newChat(parley);
    const total = 200;
    const writing = say(parley, key, total);
    const { store } = parley.system.stack;
    const editing = (async () => {
      for (let edits = 0; edits < 60; edits++) {
        const [last] = await store.listMessages(key, {
          ...{ after: 0, before: Number.POSITIVE_INFINITY, order: "desc", limit: 1 },
        });
        if (last !== undefined) await edit(key, 1 + draw(last.number), `edit ${edits}`);
      }
    })();
    const bodies = new Map<number, string>();
    let at = { afterNumber: 0, afterChange: 0 };
    let done = false;
    void Promise.all([writing, editing]).finally(() => {
      done = true;
    });
    for (let last = false; !last; ) {
      last = done;
      const one = watch(key, at);
      await one.heard("caughtUp");
      if (!last) await new Promise((resolve) => setTimeout(resolve, draw(60)));
      await one.cancel();
      for (const message of one.messages) {
        expect(bodies.has(message.number)).to.equal(false);
        bodies.set(message.number, message.body);
      }
      for (const message of one.changed) bodies.set(message.number, message.body);
      at = one.at();
    }
    await editing;
    const rows = await parley.clients.listMessages({ ...key, pageSize: total });
    expect([...bodies].sort(([one], [other]) => one - other)).to.deep.equal(
      rows.messages.map(({ number, body }) => [number, body]),
    );
    expect(at.afterChange).to.equal(await store.changeCount(key));
  });

  it("hears of voids, in front of what is left", async () => {
    const key = await newChat(parley);
    await say(parley, key, 4);
    const all = watch(key);
    await all.heard("message 4", "caughtUp");
    const step = { before: new Date(Date.now() + 60_000), now: new Date(), limit: 2 };
    expect(await parley.system.stack.deletions.expire(key, step)).to.equal(2);
    const late = watch(key, { afterNumber: 1 });
    await late.heard("caughtUp");
    await say(parley, key, 1);
    for (const one of [all, late]) {
      await one.heard("message 5");
      await one.cancel();
    }
    expect(late.words).to.deep.equal(["void 2-2", ...numbered(3, 4), "caughtUp", "message 5"]);
    expect(all.words).to.deep.equal([...numbered(1, 4), "caughtUp", "message 5"]);
  });

  it("hears that there is no such chat, and that it was deleted", async () => {
    const key = await newChat(parley);
    const { applicationToken } = key;
    const none = watch({ ...key, chatNumber: 7 });
    expect(refusalIn(await none.ended).reason).to.equal("CHAT_NOT_FOUND");
    await parley.clients.createChat({ applicationToken });
    await say(parley, key, 1);
    const [some, other] = [watch(key), watch({ ...key, chatNumber: 2 })];
    await some.heard("message 1", "caughtUp");
    await other.heard("caughtUp");
    await parley.clients.deleteChat({ applicationToken, number: 1, force: true });
    expect(refusalIn(await some.ended).reason).to.equal("CHAT_NOT_FOUND");
    expect(some.words).to.deep.equal(["message 1", "caughtUp"]);
    await parley.clients.deleteApplication({ applicationToken, force: true });
    expect(refusalIn(await other.ended).reason).to.equal("APPLICATION_NOT_FOUND");
    expect(other.words).to.deep.equal(["caughtUp"]);
  });
});

describeStacks("numbers that wait to be stored", (stack) => {
  const parley = useSystem(stack, ["api"], { watch: { lookMs: 50, pendingMs: 600_000 } });
  const failing = new Set(["bad", "worse"]);

  it("hold up what is above them until they are late, and then are passed", async () => {
    const { clients, system } = parley;
    const { options } = system.core.feeds;
    const { pendingMs } = options;
    const key = await newChat(parley);
    await say(parley, key, 3);
    const watching = clients.watchMessages(key);
    options.pendingMs = 0;
    await watching.heard("pending 1-3", "caughtUp");
    options.pendingMs = pendingMs;
  });

  it("hold up what is above them until their job has failed, and are told of later", async () => {
    const { clients, system } = parley;
    const { queue, store, ledger } = system.stack;
    const key = await newChat(parley);
    const bodies = ["good", "bad", "good", "worse", "good"];
    for (const body of bodies) await clients.createMessage({ ...key, message: { body } });
    const early = clients.watchMessages(key);
    queue.process(10, async ({ data }) => {
      const job = decodeJob(data);
      if (job.kind === "message" && failing.has(job.body)) throw new Error("out of order");
      await store.insertJobs([job]);
    });
    await early.heard("message 1");
    expect(early.words).to.deep.equal(["message 1"]);
    const words = ["message 1", "pending 2-2", "message 3", "pending 4-4", "message 5"];
    await early.heard(...words, "caughtUp");
    const late = clients.watchMessages(key);
    await late.heard("caughtUp");
    failing.clear();
    expect(await queue.requeue(jobIdOf({ ...key, number: 2 }))).to.equal(true);
    // As jobs drop does it.
    await ledger.insertVoids(key, { firstNumber: 4, lastNumber: 4 });
    await queue.drop(jobIdOf({ ...key, number: 4 }));
    for (const one of [early, late]) {
      await one.heard('changed 2 "bad"');
      await one.heard("void 4-4");
      await one.cancel();
      expect(one.words.slice(0, 6)).to.deep.equal([...words, "caughtUp"]);
      expect(one.words).to.have.length(8);
    }
    const after = clients.watchMessages(key);
    await after.heard("caughtUp");
    await after.cancel();
    expect(after.words).to.deep.equal([
      ...[...numbered(1, 3), "void 4-4", "message 5", "caughtUp"],
    ]);
  }).timeout(20_000);
});
