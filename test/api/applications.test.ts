import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import { describeStacks, refusalOf, useSystem } from "../support/system.ts";

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describeStacks("applications", (stack) => {
  const parley = useSystem(stack);

  const create = async (name: string, requestId = "") =>
    (await parley.clients.createApplication({ application: { name }, requestId })).application!;

  it("creates an application with a token, a name and a counter at 0", async () => {
    const application = await create("first");
    expect(application.token).to.match(UUID_V4);
    expect(application.name).to.equal("first");
    expect(application.chatsCount).to.equal(0);
    expect(application.countTime).to.equal(undefined);
    expect(application.createTime!.getTime()).to.be.closeTo(Date.now(), 60_000);
    expect(application.updateTime).to.deep.equal(application.createTime);
    const [count] = await parley.system.stack.intake.counts([
      { applicationToken: application.token },
    ]);
    expect(count).to.equal(0);
    const got = await parley.clients.getApplication({ applicationToken: application.token });
    expect(got.application).to.deep.equal(application);
  });

  it("keeps names byte for byte, up to 255 characters of any script", async () => {
    const names = ["é", "e\u0301", "É", "a ", "a", "😀".repeat(255), "\u200fשלום", "<b>'\"%\\"];
    for (const name of names) {
      const { token } = await create(name);
      const got = await parley.clients.getApplication({ applicationToken: token });
      expect(got.application!.name).to.equal(name);
    }
  });

  it("lists every application once, in the order of creation, over pages", async () => {
    const made: string[] = [];
    for (let at = 0; at < 7; at++) made.push((await create(`listed ${at}`)).token);
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await parley.clients.listApplications({ pageSize: 3, pageToken });
      expect(page.applications.length).to.be.at.most(3);
      seen.push(...page.applications.map((one) => one.token));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(new Set(seen).size).to.equal(seen.length);
    expect(seen.filter((token) => made.includes(token))).to.deep.equal(made);
  });

  it("updates the name, and moves update_time alone", async () => {
    const { token, createTime } = await create("before");
    const answer = await parley.clients.updateApplication({
      application: { token, name: "after" },
      updateMask: ["name"],
    });
    expect(answer.application!.name).to.equal("after");
    expect(answer.application!.createTime).to.deep.equal(createTime);
    expect(answer.application!.updateTime!.getTime()).to.be.at.least(createTime!.getTime());
    const got = await parley.clients.getApplication({ applicationToken: token });
    expect(got.application).to.deep.equal(answer.application);
  });

  it("treats an empty mask and * as the name, and ignores output-only paths", async () => {
    const { token } = await create("mask");
    const update = async (name: string, updateMask: string[] | undefined) =>
      (await parley.clients.updateApplication({ application: { token, name }, updateMask }))
        .application!.name;
    expect(await update("empty", undefined)).to.equal("empty");
    expect(await update("star", ["*"])).to.equal("star");
    expect(await update("ignored", ["chats_count"])).to.equal("star");
    const refusal = await refusalOf(update("x", ["body"]));
    expect(refusal.code).to.equal(status.INVALID_ARGUMENT);
    expect(refusal.violations).to.have.key("update_mask.paths[0]");
  });

  it("returns the first answer for a request id that comes again", async () => {
    const requestId = randomUUID();
    const first = await parley.clients.createApplication({
      application: { name: "once" },
      requestId,
    });
    const again = await parley.clients.createApplication({
      application: { name: "once" },
      requestId,
    });
    expect(first.replayed).to.equal(false);
    expect(again.replayed).to.equal(true);
    expect(again.application).to.deep.equal(first.application);
    const other = parley.clients.createApplication({ application: { name: "other" }, requestId });
    const refusal = await refusalOf(other);
    expect(refusal.code).to.equal(status.ALREADY_EXISTS);
    expect(refusal.reason).to.equal("REQUEST_ID_REUSED");
  });

  it("creates one application for many callers with one request id at once", async () => {
    const requestId = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 16 }, () =>
        parley.clients.createApplication({ application: { name: "raced" }, requestId }),
      ),
    );
    expect(new Set(answers.map((one) => one.application!.token)).size).to.equal(1);
    expect(answers.filter((one) => !one.replayed).length).to.equal(1);
  });

  it("says NOT_FOUND for a token that nobody has", async () => {
    const applicationToken = randomUUID();
    for (const call of [
      () => parley.clients.getApplication({ applicationToken }),
      () =>
        parley.clients.updateApplication({ application: { token: applicationToken, name: "x" } }),
      () => parley.clients.createChat({ applicationToken }),
      () => parley.clients.listChats({ applicationToken }),
      () => parley.clients.getChat({ applicationToken, number: 1 }),
      () =>
        parley.clients.createMessage({ applicationToken, chatNumber: 1, message: { body: "x" } }),
      () => parley.clients.listMessages({ applicationToken, chatNumber: 1 }),
      () => parley.clients.getMessage({ applicationToken, chatNumber: 1, number: 1 }),
      () => parley.clients.searchMessages({ applicationToken, chatNumber: 1, query: "x" }),
    ]) {
      const refusal = await refusalOf(call());
      expect(refusal.code).to.equal(status.NOT_FOUND);
      expect(refusal.reason).to.equal("APPLICATION_NOT_FOUND");
    }
  });
});
