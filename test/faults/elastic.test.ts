import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Client } from "@elastic/elasticsearch";
import { expect } from "chai";
import { FOLD_VERSION } from "../../src/core/fold.ts";
import type { SearchIndex } from "../../src/core/ports.ts";
import { ParleyError } from "../../src/errors.ts";
import { openElastic } from "../../src/stacks/elastic/client.ts";
import { mapping } from "../../src/stacks/elastic/mapping.ts";
import { ElasticSearchIndex } from "../../src/stacks/elastic/search-index.ts";
import { type FreshServers, freshServers, productionMissing } from "../support/servers.ts";

const key = { applicationToken: randomUUID(), chatNumber: 1 };
const secret = { ...key, number: 1, body: "a secret text", version: 1 };

/** Every step of the port, each with something that no log may have. */
function stepsOf(index: SearchIndex): Promise<unknown>[] {
  const range = { firstNumber: 1, lastNumber: 2 };
  const query = { ...key, parts: ["secret"], before: Number.POSITIVE_INFINITY, limit: 1 };
  return [
    index.index([secret]),
    index.find(query),
    index.findWithExtent(query),
    index.extent(key),
    index.count(key, range),
    index.identity(),
  ];
}

async function expectUnavailable(...steps: Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(steps)) {
    if (result.status === "fulfilled") expect.fail("a step was answered");
    const error = result.reason as ParleyError;
    expect(error).to.be.instanceOf(ParleyError);
    expect(error.reason).to.equal("SEARCH_UNAVAILABLE");
    expect(JSON.stringify(Object.entries(error.cause as Error))).to.not.include("secret");
    expect((error.cause as Error).message)
      .to.not.equal("")
      .and.not.include("secret");
  }
}

async function listen(serve: (socket: Socket) => void): Promise<{ server: Server; url: string }> {
  const server = createServer(serve).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe("Elasticsearch is away", () => {
  it("where nothing listens", async () => {
    const { server, url } = await listen(() => {});
    server.close();
    const client = openElastic([url]);
    const startMs = Date.now();
    await expectUnavailable(...stepsOf(new ElasticSearchIndex(client, "parley-test")));
    expect(Date.now() - startMs).to.be.below(1_000);
    await client.close();
  });

  it("where nobody answers, after a bounded time", async () => {
    const sockets: Socket[] = [];
    const { server, url } = await listen((socket) => sockets.push(socket));
    const client = openElastic([url], 200);
    const startMs = Date.now();
    await expectUnavailable(...stepsOf(new ElasticSearchIndex(client, "parley-test")));
    expect(Date.now() - startMs).to.be.below(2_000);
    await client.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  it("where something else answers", async () => {
    const { server, url } = await listen((socket) => {
      socket.on("error", () => {});
      socket.on("data", () => socket.end("HTTP/1.1 503 Away\r\ncontent-length: 0\r\n\r\n"));
    });
    const client = openElastic([url]);
    await expectUnavailable(...stepsOf(new ElasticSearchIndex(client, "parley-test")));
    await client.close();
    server.close();
  });
});

const suite = productionMissing === undefined ? describe : describe.skip;
suite("Elasticsearch's index", () => {
  let servers: FreshServers;
  let client: Client;
  let alias: string;
  let index: ElasticSearchIndex;

  beforeEach(async () => {
    servers = await freshServers();
    client = openElastic(servers.elasticsearchUrls.split(","));
    alias = servers.elasticsearchIndex;
    index = new ElasticSearchIndex(client, alias);
  });
  afterEach(async () => {
    await client.close();
    await servers.drop();
  });

  const nameOf = async () => Object.keys(await client.indices.get({ index: alias }));
  const find = (part: string) =>
    index.find({ ...key, parts: [part], before: Number.POSITIVE_INFINITY, limit: 9 });
  const refresh = () => client.indices.refresh({ index: alias });

  it("is made by whatever comes first, with our mapping, once", async () => {
    // Who finds it while another still makes it may be told that its shard is not there yet.
    const other = new ElasticSearchIndex(client, alias);
    await Promise.allSettled([...stepsOf(index), ...stepsOf(other)]);
    await Promise.all(stepsOf(index));
    expect(await nameOf()).to.deep.equal([`${alias}-${FOLD_VERSION}`]);
    const state = await client.indices.getMapping({ index: alias });
    const made = state[`${alias}-${FOLD_VERSION}`]!.mappings;
    expect(made.dynamic).to.equal("strict");
    expect(made._source).to.deep.equal(mapping._source);
    await refresh();
    expect(await find("secret")).to.deep.equal([1]);
    const shown = await client.get({
      index: alias,
      id: `${key.applicationToken}:1:1`,
      routing: `${key.applicationToken}:1`,
    });
    expect(shown._source).to.deep.equal({ chat: `${key.applicationToken}:1`, number: 1 });
  });

  it("takes new messages after it was deleted, and is another one then", async () => {
    const identity = await index.identity();
    await index.index([secret]);
    await client.indices.delete({ index: (await nameOf())[0]! });
    expect(await index.index([{ ...secret, number: 2 }])).to.deep.equal([undefined]);
    await refresh();
    expect(await find("secret")).to.deep.equal([2]);
    expect(await index.identity()).to.not.equal(identity);
    expect(await nameOf()).to.deep.equal([`${alias}-${FOLD_VERSION}`]);
  });

  it("is replaced where an older version of the code has folded it", async () => {
    const old = `${alias}-${FOLD_VERSION - 0.5}`;
    await client.indices.create({ index: old, mappings: mapping, aliases: { [alias]: {} } });
    await index.index([secret]);
    const [one, other] = await Promise.all([index.identity(), index.identity()]);
    expect(one).to.equal(other);
    expect(await nameOf()).to.deep.equal([`${alias}-${FOLD_VERSION}`]);
    expect(await find("secret")).to.deep.equal([]);
    await index.index([secret]);
    await refresh();
    expect(await find("secret")).to.deep.equal([1]);
  });

  it("is left alone where a newer version of the code has made it", async () => {
    const newer = `${alias}-${FOLD_VERSION + 1}`;
    await client.indices.create({ index: newer, mappings: mapping, aliases: { [alias]: {} } });
    await index.identity();
    expect(await nameOf()).to.deep.equal([newer]);
  });

  it("is not mistaken for a foreign index of that name", async () => {
    await client.indices.create({ index: alias });
    await expectUnavailable(index.identity(), index.index([secret]));
    const { mappings } = (await client.indices.getMapping({ index: alias }))[alias]!;
    expect(mappings).to.deep.equal({});
  });

  it("answers for a document that it cannot take, and takes the others", async () => {
    const errors = await index.index([secret, { ...secret, number: 2 ** 80 }]);
    expect(errors.map((error) => error?.message)).to.deep.equal([
      undefined,
      "not indexed: 400 document_parsing_exception",
    ]);
    await refresh();
    expect(await find("secret")).to.deep.equal([1]);
  });

  // The second is what the server does to itself when its disk is full.
  for (const block of ["write", "read_only_allow_delete"]) {
    it(`says that it is away while it takes nothing (${block})`, async () => {
      await index.identity();
      const set = (on: boolean) =>
        client.indices.putSettings({ index: alias, settings: { blocks: { [block]: on } } });
      await set(true);
      await expectUnavailable(index.index([secret]));
      expect(await find("secret")).to.deep.equal([]);
      await set(false);
      expect(await index.index([secret])).to.deep.equal([undefined]);
    });
  }
});
