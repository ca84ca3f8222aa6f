import { execFile } from "node:child_process";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { expect } from "chai";
import { isUnavailable } from "../../src/errors.ts";
import { SqliteIntake } from "../../src/stacks/sqlite/intake.ts";
import { IntakeDb } from "../../src/stacks/sqlite/intake-db.ts";
import { freshDataDir } from "../support/servers.ts";
import { BOUNDS, newChat, newRequest, Trusted } from "./intakes.ts";

describe("intake: SQLite, its file", () => {
  let folder: ReturnType<typeof freshDataDir>;
  let db: IntakeDb | undefined;
  let nowMs: number;

  beforeEach(() => {
    folder = freshDataDir();
    nowMs = 1_000_000_000;
  });
  afterEach(async () => {
    db?.close();
    db = undefined;
    await folder.drop();
  });
  const open = async (bounds: Partial<typeof BOUNDS> = {}) => {
    db ??= new IntakeDb(folder.dataDir);
    const now = () => nowMs;
    return new Trusted(new SqliteIntake({ db, ...BOUNDS, ...bounds, now })).begin();
  };

  it("belongs to one process, and tells another at once which folder it is about", async () => {
    await open();
    expect(() => new IntakeDb(folder.dataDir)).to.throw(
      `the data folder ${folder.dataDir} is in use by another process`,
    );
    const file = new URL("../../src/stacks/sqlite/intake-db.ts", import.meta.url).href;
    const program = `import { IntakeDb } from ${JSON.stringify(file)};
      new IntakeDb(${JSON.stringify(folder.dataDir)});`;
    const run = promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]);
    const error = await run.then(
      () => undefined,
      (reason: { stderr: string }) => reason.stderr,
    );
    expect(error).to.contain(`the data folder ${folder.dataDir} is in use by another process`);
  });

  it("keeps everything from one process to the next, but the run id", async () => {
    const one = await open();
    const chat = newChat();
    const request = newRequest();
    await one.seed(chat, 10);
    await one.take(chat, { request });
    const before = await one.intake.inspect();
    db?.close();
    db = undefined;
    const next = await open();
    const after = await next.intake.inspect();
    expect(after).to.deep.include({ epoch: 1, accepts: 1, durable: true });
    expect(after.runId).to.not.equal(before.runId);
    expect((await next.accept(chat, { request })).kind).to.equal("replayed");
    expect(await next.accept(chat)).to.deep.include({ number: 2, left: 8 });
    expect(await next.intake.changed(10)).to.deep.equal([chat]);
    expect(await next.intake.backlog()).to.deep.equal({ jobs: 2, requestIds: 1 });
  });

  it("undoes a step that fails alone, though others share its commit", async () => {
    const one = await open();
    const [good, bad] = [newChat(), newChat()];
    for (const chat of [good, bad]) {
      await one.seed(chat);
      await one.take(chat);
    }
    // As no fault is known to do it: the number of a job that is still there comes again.
    const reset = db!.prepare("UPDATE counters SET value = 0 WHERE key = ?");
    await db!.write(() => reset.run(`APP-${bad.applicationToken}-1`));
    const steps = [one.accept(good), one.accept(bad), one.accept(good)];
    const [first, second, third] = await Promise.allSettled(steps);
    expect(first).to.deep.include({ status: "fulfilled" });
    expect(second?.status === "rejected" && isUnavailable(second.reason)).to.equal(true);
    expect(third).to.deep.include({ status: "fulfilled" });
    expect(await one.intake.counts([good, bad])).to.deep.equal([3, 0]);
    expect((await one.intake.inspect()).accepts).to.equal(4);
    expect((await one.intake.backlog()).jobs).to.equal(4);
  });

  it("forgets request ids after their time, and takes them off the disk", async () => {
    const one = await open({ requestIdTtlMs: 1_000 });
    const chat = newChat();
    await one.seed(chat);
    const request = newRequest();
    await one.take(chat, { request });
    nowMs += 1_999;
    expect((await one.accept(chat, { request })).kind).to.equal("replayed");
    nowMs += 1;
    expect((await one.intake.backlog()).requestIds).to.equal(0);
    expect(await one.take(chat, { request })).to.equal(2);
    for (let at = 0; at < 3; at++) {
      nowMs += 1_000;
      await one.take(chat, { request: newRequest() });
    }
    const kept = db!.prepare("SELECT count(*) AS rows FROM requests").get();
    expect(kept).to.deep.include({ rows: 2 });
  });

  it("does not touch a file of a newer version", async () => {
    const file = new DatabaseSync(join(folder.dataDir, "intake.db"));
    file.exec("PRAGMA user_version = 99");
    file.close();
    expect(() => new IntakeDb(folder.dataDir)).to.throw(
      `the data folder ${folder.dataDir} was written by a newer version of Parley`,
    );
  });

  it("says that it is away when it is closed", async () => {
    const one = await open();
    const chat = newChat();
    db?.close();
    const steps = [one.accept(chat), one.intake.counts([chat]), one.intake.inspect()];
    for (const step of await Promise.allSettled<unknown>(steps)) {
      expect(step.status === "rejected" && isUnavailable(step.reason)).to.equal(true);
    }
    db = undefined;
  });
});
