import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";
import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from "fastify";
import { type CallParts, runCall } from "../api/call.ts";
import { filesOf, type TlsFiles, toContext } from "../api/tls.ts";
import { Watched } from "../api/watched.ts";
import type { Process } from "../process.ts";
import { type Answer, failure, Refusal } from "./faults.ts";
import { answerOf, toJson } from "./json.ts";
import { BODY_BYTES_MAX, describeHttp } from "./openapi.ts";
import { type Raw, readRequest, renameFor } from "./reading.ts";
import { type HttpRoute, httpRoutes } from "./routes.ts";
import { Untaken } from "./untaken.ts";

const CONNECTIONS_MAX = 2_000;
const HEADER_BYTES_MAX = 16 * 1024;
/** A request that is not whole by then is refused. It is looked for once a second. */
const REQUEST_MS = 10_000;
const LOOK_MS = 1_000;
/** A connection is closed on which nothing moves, or no request follows the last for so long. */
const SILENT_MS = 30_000;
const KEEP_ALIVE_MS = 75_000;

export interface HttpOptions {
  /** `host:port`; port 0 takes a free one. */
  address: string;
  /** How long calls in work may take to end when the server stops. */
  graceMs: number;
  /** Undefined for connections that are not encrypted. */
  tls: TlsFiles | undefined;
  /** Whether /healthz is served. It asks for no key. */
  health: boolean;
}

/** The server of HTTP and JSON, as a process that can be started and stopped. */
export class HttpApi implements Process {
  private readonly parts: CallParts;
  private readonly options: HttpOptions;
  private readonly untaken = new Untaken();
  /** Connections without a request so far, as clients and balancers open them ahead. */
  private readonly silent = new Set<Socket>();
  private server: FastifyInstance | undefined;
  private certificates: Watched<SecureContextOptions> | undefined;
  private stopping = false;
  /** The port that it listens on, known once it is started. */
  port = 0;

  constructor(parts: CallParts, options: HttpOptions) {
    this.parts = parts;
    this.options = options;
  }

  async start(): Promise<void> {
    const { address } = this.options;
    const server = this.build(await this.openCertificates());
    this.server = server;
    const colon = address.lastIndexOf(":");
    const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
    await server.listen({ host, port: Number(address.slice(colon + 1)) }).catch((cause: Error) => {
      const message = `PARLEY_HTTP_ADDRESS: cannot listen on ${address}: ${cause.message}`;
      throw new Error(message, { cause });
    });
    this.port = (server.server.address() as { port: number }).port;
  }

  /** Lets the calls in work end, and cuts what is left after the grace time. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.certificates?.stop();
    const { server } = this;
    if (server === undefined) return;
    const cut = setTimeout(() => server.server.closeAllConnections(), this.options.graceMs);
    // Node takes them for busy, and would wait for what none of them has to say.
    for (const socket of this.silent) socket.destroy();
    await server.close();
    clearTimeout(cut);
  }

  /** Certificates are read again when their files change; open connections keep theirs. */
  private async openCertificates(): Promise<SecureContextOptions | undefined> {
    const { tls } = this.options;
    if (tls === undefined) return undefined;
    let first: SecureContextOptions | undefined;
    this.certificates = new Watched({
      files: filesOf(tls),
      parse: toContext,
      use: (context) => {
        first ??= context;
        const listening = this.server?.server as { setSecureContext?(one: typeof context): void };
        listening?.setSecureContext?.(context);
      },
      log: this.parts.log,
    });
    await this.certificates.start();
    return first;
  }

  private build(context: SecureContextOptions | undefined): FastifyInstance {
    const http = {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: REQUEST_MS,
      connectionsCheckingInterval: LOOK_MS,
    };
    const asked = this.options.tls?.clientCaFile !== undefined;
    const server = fastify({
      ...(context && {
        https: { ...http, ...context, requestCert: asked, rejectUnauthorized: asked },
      }),
      http,
      bodyLimit: BODY_BYTES_MAX,
      requestTimeout: REQUEST_MS,
      connectionTimeout: SILENT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      forceCloseConnections: "idle",
      return503OnClosing: false,
      // Queries are read by reading.ts, which names what is wrong with them.
      routerOptions: { maxParamLength: HEADER_BYTES_MAX, querystringParser: () => ({}) },
      frameworkErrors: (error: FastifyError, _: unknown, reply: FastifyReply) =>
        this.refuse(reply, error),
      clientErrorHandler: refuseSocket,
    } as object) as FastifyInstance;
    server.server.maxConnections = CONNECTIONS_MAX;
    server.server.on(context ? "secureConnection" : "connection", (socket: Socket) => {
      this.silent.add(socket);
      socket.once("close", () => this.silent.delete(socket));
    });
    server.server.on("request", ({ socket }) => this.silent.delete(socket));
    server.removeAllContentTypeParsers();
    server.addContentTypeParser("*", { parseAs: "buffer" }, (_, body, done) => done(null, body));
    server.setErrorHandler<FastifyError>((error, _, reply) => this.refuse(reply, error));
    // Before Fastify has an opinion on the body of what nobody takes.
    server.addHook("onRequest", (request, reply, done) =>
      request.is404 ? this.refuseRoute(request, reply) : done(),
    );
    for (const route of httpRoutes) this.addRoute(server, route);
    const contract = JSON.stringify(describeHttp(httpRoutes, { health: this.options.health }));
    server.get("/openapi.json", (_, reply) => this.say(reply, 200, contract));
    if (this.options.health) {
      server.get("/healthz", (_, reply) =>
        this.stopping
          ? this.say(reply, 503, '{"status":"NOT_SERVING"}')
          : this.say(reply, 200, '{"status":"SERVING"}'),
      );
    }
    return server;
  }

  private addRoute(server: FastifyInstance, route: HttpRoute): void {
    const { method, rpc: name, creates } = route;
    const type = answerOf(name);
    const url = route.path.replaceAll(/\{(\w+)\}/g, ":$1");
    const handler = ({ raw: request, ...rest }: FastifyRequest, reply: FastifyReply) => {
      const raw: Raw = {
        path: rest.params as Raw["path"],
        url: request.url!,
        headers: request.headers,
        body: rest.body as Buffer | undefined,
      };
      const cancel = runCall<unknown, unknown>(this.parts, {
        name,
        route: route.route,
        deadline: Number.POSITIVE_INFINITY,
        header: (one) => request.headersDistinct[one] ?? [],
        read: () => readRequest(route, raw),
        answer: (callId, error, response) => {
          if (error !== undefined) {
            return this.send(reply, callId, failure(error, callId, renameFor(route, raw)));
          }
          const { replayed, existed } = response as { replayed?: boolean; existed?: boolean };
          const status = creates && !replayed && !existed ? 201 : 200;
          const body = JSON.stringify(toJson(type, response as Record<string, unknown>));
          this.send(reply, callId, { status, headers: {}, body });
        },
      });
      reply.raw.once("close", cancel);
    };
    server.route({ method, url, handler });
  }

  private send(reply: FastifyReply, callId: string, { status, headers, body }: Answer): void {
    reply.headers({ "parley-call-id": callId, ...headers });
    this.say(reply, status, body);
  }

  private say(reply: FastifyReply, status: number, body: string): FastifyReply {
    this.untaken.add(reply.raw, body);
    return reply
      .code(status)
      .headers({
        "content-type": "application/json; charset=utf-8",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
      })
      .send(body);
  }

  /** What Fastify refuses before there is a call; everything else that it throws is a defect. */
  private refuse(reply: FastifyReply, error: FastifyError): void {
    const callId = randomUUID();
    const { statusCode = 500 } = error;
    let shown: unknown = error;
    if (statusCode === 413) {
      shown = new Refusal("BODY_TOO_LARGE", `the body must be at most ${BODY_BYTES_MAX} bytes`);
    } else if (statusCode === 415) {
      shown = new Refusal("CONTENT_TYPE_UNSUPPORTED", "Content-Type: must be application/json");
    } else if (statusCode < 500) {
      shown = new Refusal("REQUEST_MALFORMED", "the request cannot be read as HTTP");
    } else this.parts.log.error({ call: "http", callId, code: "INTERNAL", err: error }, "call");
    this.send(reply, callId, failure(shown, callId));
  }

  private refuseRoute({ raw }: FastifyRequest, reply: FastifyReply): void {
    const callId = randomUUID();
    const path = raw.url!.split("?", 1)[0]!;
    const allowed = allowedAt(path);
    const refusal =
      allowed.length === 0
        ? new Refusal("ROUTE_NOT_FOUND", "there is no such path; /openapi.json has those there are")
        : new Refusal("METHOD_NOT_ALLOWED", `this path takes ${allowed.join(", ")}`);
    if (allowed.length > 0) reply.header("allow", allowed.join(", "));
    this.send(reply, callId, failure(refusal, callId));
  }
}

/** Every path as a pattern, with the methods that it takes. */
const methodsOf = new Map<string, string[]>([
  ["/openapi.json", ["GET", "HEAD"]],
  ["/healthz", ["GET", "HEAD"]],
]);
for (const { path, method } of httpRoutes) {
  const methods = method === "GET" ? ["GET", "HEAD"] : [method];
  methodsOf.set(path, [...(methodsOf.get(path) ?? []), ...methods]);
}

function allowedAt(path: string): string[] {
  for (const [pattern, methods] of methodsOf) {
    if (new RegExp(`^${pattern.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(path)) return methods;
  }
  return [];
}

/** Answers what Node cannot read as HTTP, or what did not come in time, and closes. */
function refuseSocket(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  let refusal = new Refusal("REQUEST_MALFORMED", "the request cannot be read as HTTP");
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") {
    refusal = new Refusal("REQUEST_TOO_SLOW", `the request was not whole within ${REQUEST_MS} ms`);
  } else if (error.code === "HPE_HEADER_OVERFLOW") {
    refusal = new Refusal("HEADERS_TOO_LARGE", `must be at most ${HEADER_BYTES_MAX} bytes`);
  }
  const { status, body } = failure(refusal, randomUUID());
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
