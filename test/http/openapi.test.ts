import { readFileSync } from "node:fs";
import { expect } from "chai";
import { z } from "zod";
import { examples } from "../../src/http/examples.ts";
import { describeHttp } from "../../src/http/openapi.ts";
import { httpRoutes } from "../../src/http/routes.ts";

// That the running server does what the document says is what scripts/http-check.ts looks at.

// biome-ignore lint/suspicious/noExplicitAny: the document is looked at by paths.
const document = describeHttp(httpRoutes, { health: true }) as any;

/** Every object of the document with its path. */
function* walk(node: unknown, path = "#"): Generator<[string, Record<string, unknown>]> {
  if (typeof node !== "object" || node === null) return;
  yield [path, node as Record<string, unknown>];
  for (const [name, one] of Object.entries(node)) yield* walk(one, `${path}/${name}`);
}

/** A schema of the document that stands for itself. */
function whole(schema: unknown): Record<string, unknown> {
  const $defs = JSON.parse(
    JSON.stringify(document.components.schemas).replaceAll("#/components/schemas/", "#/$defs/"),
  );
  const text = JSON.stringify(schema).replaceAll("#/components/schemas/", "#/$defs/");
  return { ...JSON.parse(text), $defs };
}

describe("the OpenAPI document", () => {
  it("has every route of the brief", () => {
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(operations).to.have.members([
      "GET /applications",
      "POST /applications",
      "GET /applications/{token}",
      "PATCH /applications/{token}",
      "POST /applications/{token}/chats",
      "GET /applications/{token}/chats",
      "POST /applications/{token}/chats/{number}/message",
      "GET /messages/{token}/{number}/search",
      "GET /messages/{token}/{number}",
      "GET /healthz",
      "GET /openapi.json",
    ]);
  });

  it("has the routes of docs/http.md", () => {
    const page = readFileSync(new URL("../../docs/http.md", import.meta.url), "utf8");
    const rows = [...page.matchAll(/^\| `([A-Z]+ \/\S*)` \|/gm)].map(([, route]) => route);
    const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(rows).to.have.members(routes);
  });

  it("refers only to what it has, and uses all that it has", () => {
    const refs = [...walk(document)].flatMap(([, { $ref }]) => ($ref === undefined ? [] : [$ref]));
    const wanted = new Set(refs as string[]);
    for (const kind of ["schemas", "responses", "headers"]) {
      for (const name of Object.keys(document.components[kind])) {
        expect(wanted.delete(`#/components/${kind}/${name}`), `${kind}/${name}`).to.equal(true);
      }
    }
    expect([...wanted]).to.deep.equal([]);
  });

  it("describes every operation, parameter, answer and field", () => {
    for (const [path, node] of walk(document)) {
      const described = /\/responses\/\w+$|\/parameters\/\d+$/.test(path);
      if (described && node.$ref === undefined) expect(node, path).to.have.property("description");
      if (node.responses !== undefined && node.operationId)
        expect(node.summary, path).to.be.a("string");
    }
    for (const name of ["Application", "Chat", "Message"]) {
      const { properties } = document.components.schemas[name];
      expect(Object.keys(properties)).not.to.deep.equal([]);
      expect(properties.attributes ?? properties.name, name).to.have.property("description");
    }
  });

  it("shows examples that its own schemas take", () => {
    for (const [path, node] of walk(document)) {
      if (node.schema === undefined || node.example === undefined) continue;
      const result = z.fromJSONSchema(whole(node.schema)).safeParse(node.example);
      expect(result.error?.issues, path).to.equal(undefined);
    }
    expect(Object.keys(examples)).to.have.length(httpRoutes.length);
  });
});
