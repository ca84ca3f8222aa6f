import { readFileSync } from "node:fs";
import { expect } from "chai";
import { parseQuery } from "../../src/core/query.ts";
import { mapping } from "../../src/stacks/elastic/mapping.ts";
import { bulkLinesOf, findRequest } from "../../src/stacks/elastic/requests.ts";

// What is sent to Elasticsearch. Documents that were written before a change of the mapping or of a
// document stay as they are: such a change needs a higher FOLD_VERSION, which makes a new index.

const golden = JSON.parse(
  readFileSync(new URL("search-query.json", import.meta.url), "utf8"),
) as Record<string, unknown>;

const key = { applicationToken: "5f0c6d3e-6a52-4a4e-9a55-0d8f6f3f1f10", chatNumber: 7 };

describe("what Elasticsearch is sent is in the golden file", () => {
  it("a query", () => {
    const parts = parseQuery('Straße "à la" x 東京');
    expect(findRequest("parley-messages", { ...key, parts, before: 43, limit: 51 })).to.deep.equal(
      golden.query,
    );
  });

  it("a document", () => {
    const lines = bulkLinesOf({ ...key, number: 42, body: "Ça  va 👍", version: 1 });
    expect(lines.map((line) => JSON.parse(line))).to.deep.equal(golden.document);
  });

  it("the mapping", () => {
    expect(mapping).to.deep.equal(golden.mapping);
  });
});
