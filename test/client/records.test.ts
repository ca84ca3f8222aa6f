import { expect } from "chai";
import { ParleyClient, ParleyError, State } from "../../clients/typescript/src/index.ts";
import { useSystem } from "../support/system.ts";

describe("what the TypeScript client keeps on records", () => {
  const parley = useSystem("embedded");
  let client: ParleyClient;
  before(() => {
    client = new ParleyClient({ address: parley.target });
  });
  after(() => client.close());

  it("finds a chat by the caller's own name, and creates it once", async () => {
    const { token: applicationToken } = await client.applications.create({ name: "shop" });
    const wanted = { applicationToken, externalId: "order 17" };
    const attributes = { customer: "ann" };
    const first = await client.chats.create({ ...wanted, attributes });
    expect(first).to.include({ number: 1, existed: false, externalId: "order 17" });
    const second = await client.chats.create(wanted);
    expect(second).to.include({ number: 1, existed: true });
    expect((await client.chats.get(wanted)).attributes).to.deep.equal(attributes);
  });

  it("creates many messages at once, with what the caller keeps with them", async () => {
    const { token: applicationToken } = await client.applications.create({ name: "shop" });
    const { number: chatNumber } = await client.chats.create({ applicationToken });
    const place = { applicationToken, chatNumber };
    const originalTime = new Date("2020-02-29T12:00:00.123Z");
    const texts = [
      { body: "one", author: "ann", attributes: { device: "phone" }, originalTime },
      { body: "two" },
    ];
    const waitFor = State.STATE_PERSISTED;
    const batch = await client.messages.batchCreate({ ...place, messages: texts, waitFor });
    expect(batch.numbers).to.deep.equal({ firstNumber: 1, lastNumber: 2 });
    expect(batch).to.include({ replayed: false, state: State.STATE_PERSISTED });
    const one = await client.messages.get({ ...place, number: 1 });
    expect(one.attributes).to.deep.equal({ device: "phone" });
    expect(one.originalTime).to.deep.equal(originalTime);
    const { number, attributes } = await client.messages.create({ ...place, ...texts[0]! });
    expect({ number, attributes }).to.deep.equal({ number: 3, attributes: { device: "phone" } });
  });

  it("refuses text that would be stored as another, and sends nothing", async () => {
    const { token: applicationToken } = await client.applications.create({ name: "shop" });
    const { number: chatNumber } = await client.chats.create({ applicationToken });
    const place = { applicationToken, chatNumber };
    const half = "half \ud83d";
    const noKey = JSON.parse('{"__proto__":"lost","kept":"yes"}');
    const { applications, chats, messages } = client;
    const attributes = { kept: half };
    const batch = [{ body: "whole" }, { body: "whole", author: half }];
    const refused: [string, () => Promise<unknown>][] = [
      ["application.name", () => applications.create({ name: half })],
      ["chat.external_id", () => chats.create({ applicationToken, externalId: half })],
      ["external_id", () => chats.get({ applicationToken, externalId: half })],
      ["message.body", () => messages.create({ ...place, body: half })],
      ["message.attributes", () => messages.create({ ...place, body: "whole", attributes })],
      ["message.attributes", () => messages.update({ ...place, number: 1, attributes: noKey })],
      ["messages[1].author", () => messages.batchCreate({ ...place, messages: batch })],
      [
        "query",
        () =>
          messages
            .search({ ...place, query: half })
            .pages()
            .next(),
      ],
    ];
    for (const [field, call] of refused) {
      const error = await call().catch((one: unknown) => one);
      expect(error, field).to.be.instanceOf(ParleyError);
      expect(error).to.include({ code: "INVALID_ARGUMENT", reason: "FIELD_INVALID" });
      expect((error as ParleyError).violations.map((one) => one.field)).to.deep.equal([field]);
    }
    const { number, body } = await messages.create({ ...place, body: "whole \u{1f600}" });
    expect({ number, body }).to.deep.equal({ number: 1, body: "whole \u{1f600}" });
    expect((await chats.create({ applicationToken })).number).to.equal(2);
  });
});
