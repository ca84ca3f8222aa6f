import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import { syncCounts } from "../../src/worker/chores.ts";
import { purge } from "../../src/worker/purge.ts";
import { indexed, residueOf, settleIndex } from "../support/residue.ts";
import { describeStacks, freshPlace, refusalOf, start, useSystem } from "../support/system.ts";

const TAGS = { "a key": "a värde", b: "" };
const TURNED = { b: "", "a key": "a värde" };

type Key = { applicationToken: string; chatNumber: number };

describeStacks("edits", (stack) => {
  const parley = useSystem(stack);
  let key: Key;

  beforeEach(async () => {
    const answer = await parley.clients.createApplication({ application: { name: "edits" } });
    const applicationToken = answer.application!.token;
    await parley.clients.createChat({ applicationToken });
    key = { applicationToken, chatNumber: 1 };
  });

  const say = (body: string, author = "ann") =>
    parley.clients.createMessage({
      ...key,
      message: { body, author },
      waitFor: State.STATE_PERSISTED,
    });
  const edit = (number: number, body: string, more: object = {}) =>
    parley.clients.updateMessage({ ...key, number, message: { body }, ...more });
  const remove = (number: number, more: object = {}) =>
    parley.clients.deleteMessage({ ...key, number, ...more });
  const get = async (number: number) =>
    (await parley.clients.getMessage({ ...key, number })).message!;
  async function search(query: string) {
    await settleIndex(parley);
    return parley.clients.searchMessages({ ...key, query });
  }
  const found = async (query: string) =>
    (await search(query)).results.map((one) => one.message!.number);
  const reasonOf = async (call: Promise<unknown>) => (await refusalOf(call)).reason;

  it("are seen by every read at once, and by search", async () => {
    await say("first words");
    await say("second words");
    const before = await get(1);
    expect(before).to.deep.include({ version: 1, editTime: undefined });
    // At once after the create: it may not be stored yet.
    const third = await parley.clients.createMessage({ ...key, message: { body: "third" } });
    expect((await edit(third.message!.number, "3rd")).message!.version).to.equal(2);
    const { message } = await edit(1, "Größere Worte");
    expect(message).to.deep.equal({
      ...before,
      body: "Größere Worte",
      version: 2,
      editTime: message!.editTime,
    });
    expect(message!.editTime!.getTime()).to.be.at.least(before.createTime!.getTime());
    expect(await get(1)).to.deep.equal(message);
    const { messages } = await parley.clients.listMessages(key);
    expect(messages.map((one) => one.body)).to.deep.equal(["Größere Worte", "second words", "3rd"]);
    await indexed(parley, key, 3);
    expect(await found("words")).to.deep.equal([2]);
    const { results, indexedThroughNumber } = await search("grosser");
    expect(results[0]!.segments).to.deep.equal([
      { text: "Größer", match: true },
      { text: "e Worte", match: false },
    ]);
    expect(results[0]!.message).to.deep.equal({ ...message, state: State.STATE_SEARCHABLE });
    expect(indexedThroughNumber).to.equal(3);
  });

  it("to what is there change nothing, so a retry is safe", async () => {
    await say("same");
    const before = await get(1);
    expect((await edit(1, "same")).message).to.deep.equal(before);
    const { message } = await edit(1, "other");
    expect((await edit(1, "other")).message).to.deep.equal(message);
    expect(await get(1)).to.deep.equal(message);
  });

  it("with if_version are made on that version alone, by one of many", async () => {
    await say("start");
    const racers = Array.from({ length: 16 }, (_, at) =>
      edit(1, `by ${at}`, { ifVersion: 1 }).then(
        ({ message }) => message!.body,
        (error: unknown) => error,
      ),
    );
    const answers = await Promise.all(racers);
    const won = answers.filter((one) => typeof one === "string");
    expect(won).to.have.length(1);
    expect(await get(1)).to.deep.include({ body: won[0], version: 2 });
    const refusal = await refusalOf(edit(1, "late", { ifVersion: 1 }));
    expect(refusal).to.include({ code: status.ABORTED, reason: "VERSION_MISMATCH" });
    expect(await reasonOf(remove(1, { ifVersion: 1 }))).to.equal("VERSION_MISMATCH");
    expect((await remove(1, { ifVersion: 2 })).message!.version).to.equal(3);
  });

  it("follow their mask, and say which field is wrong", async () => {
    await say("kept");
    const masked = (updateMask: string[], body = "", attributes = {}) =>
      edit(1, "", { updateMask, message: { body, attributes } });
    const answers = [
      [await masked(["attributes"], "", {}), { body: "kept", attributes: {}, version: 1 }],
      [await masked(["attributes"], "", TAGS), { body: "kept", attributes: TAGS, version: 2 }],
      [await masked(["body"], "one"), { body: "one", attributes: TAGS, version: 3 }],
      [await masked([], "two"), { body: "two", attributes: TAGS, version: 4 }],
      [await masked(["*"], "two", TURNED), { body: "two", attributes: TAGS, version: 4 }],
      [await masked(["*"], "two"), { body: "two", attributes: {}, version: 5 }],
      [await masked(["body", "attributes"], "two", TAGS), { attributes: TAGS, version: 6 }],
    ] as const;
    for (const [{ message }, expected] of answers) expect(message).to.deep.include(expected);
    for (const path of ["author", "number", "message.body", "create_time", ""]) {
      const { violations } = await refusalOf(masked(["body", path], "three"));
      expect(violations, path).to.deep.equal({
        "update_mask.paths[1]": "must be body, attributes or *",
      });
    }
    for (const body of ["", "a\0b", "ß".repeat(8_193)]) {
      for (const updateMask of [[], ["*"]]) {
        const { violations } = await refusalOf(edit(1, body, { updateMask }));
        expect(violations["message.body"]).to.match(/1 to 16384 bytes/);
      }
    }
    const bad = await refusalOf(edit(0, "x", { ifVersion: -1 }));
    expect(Object.keys(bad.violations)).to.have.members(["number", "if_version"]);
    const none = parley.clients.updateMessage({ ...key, number: 1 });
    expect((await refusalOf(none)).violations).to.have.property("message");
    expect(await get(1)).to.deep.equal(answers[6][0].message);
  });

  it("of a deletion leave a tombstone that no query finds", async () => {
    await say("a secret");
    await say("a second");
    const bigger = { body: "a bigger secret", attributes: TAGS };
    await edit(1, "", { message: bigger, updateMask: ["*"] });
    const { message } = await remove(1);
    const left = { number: 1, body: "", attributes: {}, author: "ann", version: 3 };
    expect(message).to.deep.include(left);
    expect(message!.deleteTime!.getTime()).to.be.at.least(message!.editTime!.getTime());
    expect(await get(1)).to.deep.equal(message);
    const { messages, voids } = await parley.clients.listMessages(key);
    expect(messages[0]).to.deep.equal(message);
    expect({ length: messages.length, voids }).to.deep.equal({ length: 2, voids: [] });
    await indexed(parley, key, 2);
    for (const query of ["secret", "a", "s"]) {
      const answer = await search(query);
      const numbers = answer.results.map((one) => one.message!.number);
      expect(numbers).to.deep.equal(query === "secret" ? [] : [2]);
      expect(answer.indexedThroughNumber).to.equal(2);
    }
    expect((await remove(1, { ifVersion: 1 })).message).to.deep.equal(message);
    const refusal = await refusalOf(edit(1, "back"));
    expect(refusal).to.include({ code: status.FAILED_PRECONDITION, reason: "MESSAGE_DELETED" });
    expect((await say("next")).message!.number).to.equal(3);
    await syncCounts(parley.system.stack, () => new Date());
    const number = 1;
    const { chat } = await parley.clients.getChat({ ...key, number });
    expect(chat).to.deep.include({ messagesCount: 3, deletedCount: 1 });
  });

  it("of what is not there say why", async () => {
    const { applicationToken } = key;
    const { ledger } = parley.system.stack;
    await say("one");
    await ledger.insertVoids(key, { firstNumber: 7, lastNumber: 7 });
    const cases = [
      [{ ...key, number: 6 }, "MESSAGE_NOT_FOUND"],
      [{ ...key, number: 7 }, "NUMBER_VOID"],
      [{ applicationToken, chatNumber: 9, number: 1 }, "CHAT_NOT_FOUND"],
      [{ ...key, applicationToken: randomUUID(), number: 1 }, "APPLICATION_NOT_FOUND"],
    ] as const;
    for (const [which, reason] of cases) {
      const message = { body: "x" };
      const update = parley.clients.updateMessage({ ...which, message });
      expect(await reasonOf(update)).to.equal(reason);
      expect(await reasonOf(parley.clients.deleteMessage(which))).to.equal(reason);
    }
  });

  it("beside the deletion of their chat are whole or refused, and leave nothing", async () => {
    const { applicationToken } = key;
    for (const body of ["one", "two", "three"]) await say(body);
    const edits = Array.from({ length: 24 }, (_, at) => {
      const number = 1 + (at % 3);
      const call = at < 18 ? edit(number, `by ${at}`) : remove(number);
      return call.then(
        () => "done",
        async (error: unknown) => reasonOf(Promise.reject(error)),
      );
    });
    const gone = parley.clients.deleteChat({ applicationToken, number: 1, force: true });
    const [, ...ended] = await Promise.all([gone, ...edits]);
    for (const one of ended) expect(one).to.be.oneOf(["done", "CHAT_NOT_FOUND", "MESSAGE_DELETED"]);
    expect(await reasonOf(edit(1, "late"))).to.equal("CHAT_NOT_FOUND");
    await settleIndex(parley);
    await purge(parley.system.stack, new Date(Date.now() + 60_000));
    const { deletions, ...rest } = await residueOf(parley, applicationToken);
    expect(deletions).to.equal(1);
    expect(rest).to.not.have.any.keys("messages", "message_changes", "search_gaps");
  });
});

describeStacks("edits of what is not stored yet", (stack) => {
  it("wait for it until shortly before the deadline, and come through in time", async () => {
    const place = await freshPlace(stack);
    let parley = await start(place, ["api"]);
    try {
      const answer = await parley.clients.createApplication({ application: { name: "early" } });
      const applicationToken = answer.application!.token;
      await parley.clients.createChat({ applicationToken });
      const key = { applicationToken, chatNumber: 1 };
      await parley.clients.createMessage({ ...key, message: { body: "early" } });
      const request = { ...key, number: 1, message: { body: "edited" } };
      const refusal = await refusalOf(parley.clients.updateMessage(request, { timeoutMs: 400 }));
      expect(refusal).to.include({ code: status.UNAVAILABLE, reason: "NOT_STORED" });
      expect(refusal.retryMs).to.be.above(0);
      const late = parley.clients.deleteMessage({ ...key, number: 1 }, { timeoutMs: 300 });
      expect((await refusalOf(late)).reason).to.equal("NOT_STORED");
      await parley.stop();
      parley = await start(place);
      const { message } = await parley.clients.updateMessage(request);
      expect(message).to.deep.include({ body: "edited", version: 2 });
    } finally {
      await parley.stop();
      await place.drop();
    }
  }).timeout(60_000);
});
