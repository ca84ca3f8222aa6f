import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import { decodeJob, jobIdOf } from "../../src/core/jobs.ts";
import { runCommand } from "../support/command.ts";
import {
  describeStacks,
  freshPlace,
  type Place,
  type Running,
  refusalOf,
  start,
} from "../support/system.ts";

const BODY = "not for operators";

describeStacks("jobs and explain on the command line", (stack) => {
  let place: Place;
  let parley: Running;
  let applicationToken: string;
  const chat = (number: number) => ({ applicationToken, chatNumber: number });
  const idOf = (chatNumber: number, number: number) => jobIdOf({ ...chat(chatNumber), number });
  const chatId = (number: number) => jobIdOf({ applicationToken, number });
  const run = (...words: string[]) => runCommand(place.env, ...words);
  const explain = (...numbers: number[]) =>
    run("explain", applicationToken, ...numbers.map(String));

  /** Chat 1 with messages 1 to 4, chat 2 with one, chat 3 without; but for 1/1 all fail. */
  before(async function () {
    this.timeout(60_000);
    place = await freshPlace(stack);
    parley = await start(place, ["api"]);
    const { clients, system } = parley;
    const { application } = await clients.createApplication({ application: { name: "jobs" } });
    applicationToken = application!.token;
    for (let chats = 0; chats < 3; chats++) await clients.createChat({ applicationToken });
    for (const chatNumber of [1, 1, 1, 1, 2]) {
      const message = { author: "an author", body: BODY };
      await clients.createMessage({ ...chat(chatNumber), message });
    }
    system.stack.queue.process(10, async ({ data }) => {
      const job = decodeJob(data);
      const fine =
        job.kind === "chat" ? job.number === 1 : job.number === 1 && job.chatNumber === 1;
      if (!fine) throw new Error("out of order");
      await system.stack.store.insertJobs([job]);
    });
    await until(async () => (await system.stack.queue.counts()).parked === 6);
    await until(async () => (await system.stack.queue.counts()).inWork === 0);
    // From here on with a worker that works.
    await parley.stop();
    parley = await start(place);
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
  });

  it("says of what is not there why there is nothing, and ends with an error", async () => {
    const absent = [
      [await explain(1, 99), "this number was not given yet"],
      [await explain(99), "this number was not given yet"],
      [await explain(99, 1), "the chat does not exist"],
      [await run("explain", randomUUID(), "1", "1"), "the application does not exist"],
    ] as const;
    for (const [{ code, stdout }, words] of absent) {
      expect(stdout).to.include(`next: nothing to do: ${words}\n`);
      expect(code).to.equal(1);
    }
  });

  it("lists parked jobs, oldest first, and nothing that their authors wrote", async () => {
    const { code, stdout } = await run("jobs", "list", "--limit", "3");
    expect(code).to.equal(0);
    expect(stdout).to.include("jobs: 0 waiting, 0 in work, 0 delayed, 0 suspects, 6 parked");
    expect(stdout).to.include("3 more are parked");
    expect(stdout).to.include(
      `${chatId(2)}\n  chat 2 of application ${applicationToken}, accepted 20`,
    );
    expect(stdout).to.include("body 17 bytes\n  4 failed attempts: Error: out of order");
    const asJson = await run("jobs", "list", "--json");
    const parked = asJson.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(parked.pop().summary).to.include({ waiting: 0, parked: 6 });
    const ids = [chatId(2), chatId(3), idOf(1, 2), idOf(1, 3), idOf(1, 4), idOf(2, 1)];
    expect(parked.map((job: { id: string }) => job.id)).to.deep.equal(ids);
    expect(parked[2]).to.include({
      application_token: applicationToken,
      chat_number: 1,
      number: 2,
    });
    expect(parked[2]).to.include({
      kind: "message",
      body_bytes: 17,
      tries: 4,
      error: "Error: out of order",
    });
    expect(stdout + asJson.stdout).not.to.match(/not for operators|an author/);
    const { stderr } = await run("jobs", "list", "--limit", "0");
    expect(stderr).to.include("limit must be a whole number from 1 to 10000");
  });

  it("leaves edits of what is parked to a later time", async () => {
    const { clients } = parley;
    const message = { body: "edited" };
    for (const chatNumber of [1, 2]) {
      const number = chatNumber === 1 ? 2 : 1;
      const edit = clients.updateMessage({ ...chat(chatNumber), number, message });
      expect((await refusalOf(edit)).reason).to.equal("NOT_STORED");
    }
  });

  it("shows one job, and what was written only when asked", async () => {
    const { stdout } = await run("jobs", "show", idOf(1, 2));
    expect(stdout).to.include(`for       message 2 in chat 1 of application ${applicationToken}`);
    expect(stdout).to.include("place     parked\ntries     4 of 4 failed");
    expect(stdout).not.to.match(/not for operators|an author/);
    const { stdout: whole } = await run("jobs", "show", "--body", idOf(1, 2));
    expect(whole).to.include(`author    an author\n${BODY}\n`);
    const gone = await run("jobs", "show", idOf(1, 99));
    expect(gone).to.include({ code: 1 });
    expect(gone.stdout).to.include("is done, was dropped, or never was");
  });

  it("puts jobs back, also one whose drop was cut off after its number was void", async () => {
    const { ledger } = parley.system.stack;
    const own = { firstNumber: 2, lastNumber: 2 };
    await ledger.insertVoids(chat(1), own);
    const failed = await parley.clients.getMessage({ ...chat(1), number: 2 });
    expect(failed.message!.state).to.equal(State.STATE_FAILED);
    const explained = await explain(1, 2);
    expect(explained.stdout).to.include("its job is parked, accepted");
    expect(explained.stdout).to.include(`next: npx parley jobs retry ${idOf(1, 2)}`);

    const { code, stdout } = await run("jobs", "retry", idOf(1, 2), idOf(1, 1));
    expect(code).to.equal(1);
    expect(stdout).to.equal(`${idOf(1, 1)} is not parked\n1 job put back\n`);
    await until(async () => {
      const { message } = await parley.clients.getMessage({ ...chat(1), number: 2 });
      return message!.state === State.STATE_PERSISTED;
    });
    expect(await ledger.listVoids(chat(1), own, 10)).to.deep.equal([]);
  });

  it("drops jobs when that is meant, and leaves voids", async () => {
    const unsure = await run("jobs", "drop", idOf(1, 3));
    expect(unsure).to.include({ code: 2 });
    expect(unsure.stderr).to.include("say --yes");
    const words = ["jobs", "drop", "--yes", idOf(1, 3), idOf(1, 2), chatId(2), chatId(3)];
    const { code, stdout } = await run(...words);
    expect(code).to.equal(1);
    expect(stdout.split("\n")).to.deep.equal([
      `${idOf(1, 3)} was dropped; its number is void`,
      `${idOf(1, 2)} is no job`,
      `${chatId(2)} stays: its chat has 1 message, which would be left without it`,
      `${chatId(3)} was dropped; its number is void`,
      "2 jobs dropped",
      "",
    ]);
    const refusal = await refusalOf(parley.clients.getMessage({ ...chat(1), number: 3 }));
    expect(refusal.reason).to.equal("NUMBER_VOID");
    const page = await parley.clients.listMessages(chat(1));
    expect(page.messages.map(({ number }) => number)).to.deep.equal([1, 2, 4]);
    expect(page.voids).to.deep.equal([{ firstNumber: 3, lastNumber: 3 }]);
    const chatGone = await refusalOf(parley.clients.getChat({ applicationToken, number: 3 }));
    expect(chatGone.reason).to.equal("NUMBER_VOID");
  });

  it("says where a number is and what is to be done", async () => {
    const { code, stdout: back } = await run("jobs", "retry", "--all");
    expect({ code, back }).to.deep.equal({ code: 0, back: "3 jobs put back\n" });
    const waiting = async () => {
      const { waiting, inWork, parked } = await parley.system.stack.queue.counts();
      return waiting + inWork + parked;
    };
    await until(async () => (await waiting()) === 0);
    // Its row was written and nothing else, see above.
    const unsearchable = await explain(1, 1);
    expect(unsearchable.stdout).to.include("cannot be found by search yet\nnext: wait: the sched");
    const row = await explain(1, 4);
    expect(row.stdout).to.match(/numbers given up to 4\nstored, created \S+Z\ncan be found/);
    expect(row.stdout).to.include("next: nothing to do\n");
    expect((await explain(1, 3)).stdout).to.include("void\nnext: nothing to do: the number was");
    const whole = await explain(2);
    expect(whole.stdout).to.include(`chat 2 of application ${applicationToken}\n`);
    expect(whole.stdout).to.include("1 message of it numbered\nstored, created");

    await parley.stop();
    parley = await start(place, ["api"]);
    await parley.clients.createMessage({ ...chat(1), message: { author: "a", body: "late" } });
    const late = await explain(1, 5);
    expect(late.stdout).to.include("its job is waiting");
    // A worker of before may have looked just now, on the production stack.
    expect(late.stdout).to.match(/next: (start a worker|wait: the worker is behind by 1 job)/);

    if (stack !== "production") return;
    const env = { ...place.env, PARLEY_MYSQL_URL: "mysql://parley:parley@127.0.0.1:1/parley" };
    const away = await runCommand(env, "explain", applicationToken, "1", "5");
    expect(away).to.include({ code: 1 });
    expect(away.stdout).to.include("its job is waiting");
    expect(away.stdout).to.include("could not ask: database");
  });
});

/** Asks until it is so. */
async function until(ask: () => Promise<boolean>): Promise<void> {
  while (!(await ask())) await new Promise((resolve) => setTimeout(resolve, 20));
}
