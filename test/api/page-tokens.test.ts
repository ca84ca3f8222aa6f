import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import { describeStacks, refusalOf, useSystem } from "../support/system.ts";

describeStacks("page tokens of somebody else", (stack) => {
  const parley = useSystem(stack);

  /** An application whose every list has a second page, and each of its lists by its name. */
  async function filled() {
    const { clients } = parley;
    const { application } = await clients.createApplication({ application: { name: "pages" } });
    const applicationToken = application!.token;
    for (let chatNumber = 1; chatNumber <= 2; chatNumber++) {
      await clients.createChat({ applicationToken });
      for (let at = 0; at < 3; at++) {
        const message = { body: `page ${at}` };
        await clients.createMessage({
          applicationToken,
          chatNumber,
          message,
          waitFor: at === 2 ? 3 : 1,
        });
      }
    }
    type Page = { nextPageToken: string };
    const lists: ((page: { pageSize: number; pageToken: string }) => Promise<Page>)[] = [
      (page) => clients.listChats({ applicationToken, ...page }),
    ];
    for (const chatNumber of [1, 2]) {
      const key = { applicationToken, chatNumber };
      lists.push(
        (page) => clients.listMessages({ ...key, ...page }),
        (page) => clients.listMessages({ ...key, ...page, orderBy: "number desc" }),
        (page) => clients.listMessages({ ...key, ...page, afterNumber: 1 }),
        (page) => clients.searchMessages({ ...key, ...page, query: "page" }),
        (page) => clients.searchMessages({ ...key, ...page, query: "pag" }),
      );
    }
    return lists;
  }

  const flipped = (token: string, bit: number) => {
    const bytes = Buffer.from(token, "base64url");
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    return bytes.toString("base64url");
  };

  it("are refused, and so are forged, cut and bit-flipped ones", async () => {
    const { clients } = parley;
    const lists = [
      (page: { pageSize: number; pageToken: string }) => clients.listApplications(page),
      ...(await filled()),
      ...(await filled()),
    ];
    const tokens = await Promise.all(
      lists.map(async (list) => {
        let token = "";
        // The index may be a moment behind the rows.
        while (token === "") token = (await list({ pageSize: 1, pageToken: "" })).nextPageToken;
        return token;
      }),
    );
    for (const [at, list] of lists.slice(0, lists.length / 2 + 1).entries()) {
      const own = tokens[at]!;
      const bits = Buffer.from(own, "base64url").length * 8;
      const wrong = [
        ...tokens.filter((token) => token !== own),
        ...Array.from({ length: bits / 4 }, (_, at) => flipped(own, at * 4 + (at % 4))),
        own.slice(0, -1),
        own.slice(0, 10),
        `${own}=`,
        `${own}.`,
        `${own} `,
        own.toUpperCase(),
        Buffer.from("2.1.").toString("base64url"),
        randomUUID(),
      ].filter((token) => token !== own);
      for (const pageToken of new Set(wrong)) {
        const refusal = await refusalOf(list({ pageSize: 1, pageToken }));
        expect(refusal.code).to.equal(status.INVALID_ARGUMENT);
        expect(refusal.reason, `${own} and ${pageToken}`).to.equal("PAGE_TOKEN_INVALID");
      }
    }
  }).timeout(60_000);
});
