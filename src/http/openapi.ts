import type { DescMessage } from "@bufbuild/protobuf";
import { z } from "zod";
import { ErrorReason } from "../../gen/parley/v1/errors.ts";
import { exampleFailure, examples } from "./examples.ts";
import { ownReasons } from "./faults.ts";
import { answerOf, schemaOf } from "./json.ts";
import type { HttpRoute } from "./routes.ts";
import { ONE_OF, type Parameter, pathParameters } from "./shapes.ts";

// The OpenAPI 3.1 document, made from the same tables that requests are read by: the routes, their
// shapes, and the contract for the answers.

/** The largest request that is in order has all its text escaped: 112 KiB. */
export const BODY_BYTES_MAX = 128 * 1024;

type Json = Record<string, unknown>;

const FAILURES: Record<number, string> = {
  400: "A field is outside its bounds, or the request cannot be read; `violations` says where.",
  401: "The call carries no key, or one that is not known or has expired.",
  403: "The key is known but may not do this.",
  404: "There is no such application or chat, or it was deleted.",
  408: "The request was not whole within 10 s.",
  409: "The Idempotency-Key was used before with other content.",
  413: `The body has more than ${BODY_BYTES_MAX} bytes.`,
  415: "The body is not application/json.",
  429: "Too many calls, or too much work waits to be stored; `Retry-After` says when to retry.",
  431: "The headers are too large.",
  500: "A fault of the service; its log has the cause under `call_id`.",
  503: "A part is away; `Retry-After` says when to retry.",
  504: "The call could not be answered within 5 s. A create may have been accepted all the same.",
};

/** The whole document. */
export function describeHttp(routes: HttpRoute[], { health }: { health: boolean }): Json {
  const schemas: Record<string, Json> = { Error: errorSchema() };
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    paths[route.path] = {
      ...paths[route.path],
      [route.method.toLowerCase()]: operation(route, schemas),
    };
  }
  if (health) paths["/healthz"] = { get: healthOperation() };
  paths["/openapi.json"] = { get: documentOperation() };
  const responses = Object.fromEntries(
    Object.entries(FAILURES).map(([status, description]) => [
      `Failure${status}`,
      failureResponse(Number(status), description),
    ]),
  );
  return {
    openapi: "3.1.0",
    info: {
      title: "Parley",
      version: "1.0.0",
      description: "Numbered chats and messages, searchable in every script, over HTTP and JSON.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{ key: [] }],
    tags: [{ name: "applications" }, { name: "chats" }, { name: "messages" }, { name: "server" }],
    paths,
    components: {
      schemas,
      responses,
      securitySchemes: {
        key: {
          type: "http",
          scheme: "bearer",
          description: "Where the server asks for keys: `Authorization: Bearer parley_...`.",
        },
      },
      headers: {
        CallId: {
          description: "The name of this call in the log.",
          required: true,
          schema: { type: "string", format: "uuid" },
        },
        RetryAfter: {
          description: "Seconds after which a retry makes sense.",
          schema: { type: "integer", minimum: 1 },
        },
      },
    },
  };
}

function operation(route: HttpRoute, schemas: Record<string, Json>): Json {
  const inPath = Object.entries(pathParameters).filter(([name]) =>
    route.path.includes(`{${name}}`),
  );
  const parameters = [
    ...inPath.map(([name, one]) => parameter("path", name, { ...one, required: true })),
    ...Object.entries(route.query).map(([name, one]) => parameter("query", name, one)),
    ...(route.creates ? [idempotencyKey()] : []),
  ];
  const rpc = route.rpc.split("/")[1]!;
  return {
    operationId: `${rpc[0]!.toLowerCase()}${rpc.slice(1)}`,
    summary: route.summary,
    description: `The same as the RPC \`${route.rpc}\`.`,
    tags: [tagOf(route.rpc)],
    ...(parameters.length > 0 && { parameters }),
    ...(route.body && { requestBody: requestBody(route.body, route.bodyRequired) }),
    responses: { ...successes(route, answerOf(route.rpc), schemas), ...failures(route) },
  };
}

function tagOf(rpc: string): string {
  return rpc.startsWith("parley.v1.Application")
    ? "applications"
    : rpc.startsWith("parley.v1.Chat")
      ? "chats"
      : "messages";
}

function parameter(place: string, name: string, one: Parameter): Json {
  const { schema, description, required = false } = one;
  return { name, in: place, required, description, schema };
}

function idempotencyKey(): Json {
  return {
    name: "Idempotency-Key",
    in: "header",
    required: false,
    description:
      "A UUID that makes a retry safe: the same one with the same content is answered with what " +
      "the first call created, with status 200. It is `request_id` of the RPC.",
    schema: {
      type: "string",
      format: "uuid",
      pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
      examples: ["3f1b9c1e-8a44-4a0e-9d3c-6f2d1f0a7b55"],
    },
  };
}

function requestBody(shape: z.ZodType, required: boolean): Json {
  const options = {
    io: "input",
    override: ({ jsonSchema }: { jsonSchema: Json }) => splitAlternatives(jsonSchema),
  } as const;
  const { $schema: _, ...schema } = z.toJSONSchema(shape, options) as Json;
  return { required, content: { "application/json": { schema } } };
}

/** An object with one of several fields becomes one schema for each of them. */
function splitAlternatives(schema: Json): void {
  const { [ONE_OF]: names, type, properties, required = [], ...rest } = schema;
  if (names === undefined) return;
  const others = (name: string) => (names as string[]).filter((one) => one !== name);
  for (const name of Object.keys(schema)) delete schema[name];
  schema.oneOf = (names as string[]).map((name) => ({
    type,
    ...rest,
    required: [...(required as string[]), name],
    properties: Object.fromEntries(
      Object.entries(properties as Json).filter(([one]) => !others(name).includes(one)),
    ),
  }));
}

function successes(route: HttpRoute, type: DescMessage, schemas: Record<string, Json>): Json {
  const response = (description: string, links?: Json) => ({
    description,
    headers: { "Parley-Call-Id": { $ref: "#/components/headers/CallId" } },
    content: {
      "application/json": {
        schema: schemaOf(type, schemas),
        example: examples[route.rpc.split("/")[1]!],
      },
    },
    ...(links && { links }),
  });
  if (!route.creates) return { 200: response("Done.") };
  const links = linksOf(route.rpc);
  return {
    200: response("An earlier call had created it: this one created nothing.", links),
    201: response("Created.", links),
  };
}

/** What can be called next with what a create answers. */
function linksOf(rpc: string): Json | undefined {
  const number = "$response.body#/chat/number";
  if (rpc.endsWith("/CreateApplication")) {
    const parameters = { token: "$response.body#/application/token" };
    const next = ["getApplication", "updateApplication", "createChat", "listChats"];
    return Object.fromEntries(
      next.map((operationId) => [operationId, { operationId, parameters }]),
    );
  }
  if (!rpc.endsWith("/CreateChat")) return undefined;
  const parameters = { token: "$response.body#/chat/application_token", number };
  const next = ["createMessage", "listMessages", "searchMessages"];
  return Object.fromEntries(next.map((operationId) => [operationId, { operationId, parameters }]));
}

function failures(route: HttpRoute): Json {
  const statuses = [400, 401, 403, 408, 429, 431, 500, 503, 504];
  if (route.path.includes("{token}")) statuses.push(404);
  if (route.creates) statuses.push(409);
  if (route.body !== undefined) statuses.push(413, 415);
  return Object.fromEntries(
    statuses
      .sort((a, b) => a - b)
      .map((status) => [status, { $ref: `#/components/responses/Failure${status}` }]),
  );
}

function failureResponse(status: number, description: string): Json {
  const retry = status === 429 || status === 503;
  const headers = {
    ...(retry && { "Retry-After": { $ref: "#/components/headers/RetryAfter" } }),
    ...(status === 401 && {
      "WWW-Authenticate": { description: "Bearer.", schema: { type: "string" } },
    }),
  };
  return {
    description,
    headers,
    content: {
      "application/json": {
        schema: { $ref: "#/components/schemas/Error" },
        ...(status === 400 && { example: exampleFailure }),
      },
    },
  };
}

function errorSchema(): Json {
  const reasons = Object.entries(ErrorReason)
    .filter(([, value]) => value > 0)
    .map(([name]) => name.replace("ERROR_REASON_", ""));
  const violation = {
    type: "object",
    required: ["field", "description"],
    properties: {
      field: { type: "string", description: "As the request writes it; `*` for the whole body." },
      description: { type: "string", description: "What it must be." },
    },
  };
  const properties = {
    code: { type: "string", description: "The name of the code that gRPC answers with." },
    reason: { type: "string", enum: [...reasons, ...ownReasons] },
    message: { type: "string" },
    violations: { type: "array", items: violation },
    retry_after_ms: { type: "integer", description: "There where a retry makes sense." },
    call_id: { type: "string", format: "uuid", description: "The name of the call in the log." },
  };
  const required = ["code", "reason", "message", "violations", "call_id"];
  const error = { type: "object", required, properties };
  return { type: "object", required: ["error"], properties: { error } };
}

function healthOperation(): Json {
  const answer = (description: string, status: string) => ({
    description,
    content: {
      "application/json": {
        schema: {
          type: "object",
          required: ["status"],
          properties: { status: { type: "string", enum: ["SERVING", "NOT_SERVING"] } },
          examples: [{ status }],
        },
      },
    },
  });
  return {
    operationId: "health",
    summary: "Says whether the server serves",
    tags: ["server"],
    security: [],
    responses: {
      200: answer("It serves.", "SERVING"),
      503: answer("It is stopping.", "NOT_SERVING"),
    },
  };
}

function documentOperation(): Json {
  return {
    operationId: "openapi",
    summary: "This document",
    tags: ["server"],
    security: [],
    responses: {
      200: {
        description: "OpenAPI 3.1.",
        content: { "application/json": { schema: { type: "object" } } },
      },
    },
  };
}
