import type { SecureContextOptions } from "node:tls";
import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  setLogVerbosity,
} from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import type { Process } from "../process.ts";
import type { CallParts } from "./call.ts";
import { Connections, MESSAGE_BYTES_MAX, type Pace } from "./connections.ts";
import { registry } from "./contract.ts";
import { TlsCredentials } from "./credentials.ts";
import { decoderOf, refuseInvalidUtf8 } from "./decoding.ts";
import { addReflection } from "./reflection.ts";
import { type Route, type StreamRoute, services } from "./routes.ts";
import { Streams, stream } from "./stream.ts";
import { filesOf, type TlsFiles, toContext } from "./tls.ts";
import { type Encoded, unary } from "./unary.ts";
import { Watched } from "./watched.ts";

/** Calls of one connection at a time. */
const STREAMS_MAX = 1_000;
const KEEPALIVE_MS = 30_000;
/** A connection without a call is closed; clients open another with their next call. */
const CONNECTION_IDLE_MS = 300_000;

export interface ApiOptions {
  /** `host:port`; port 0 takes a free one. */
  address: string;
  /** How long calls in work may take to end when the server stops. */
  graceMs: number;
  /** Undefined for connections that are not encrypted. */
  tls: TlsFiles | undefined;
  /** Whether grpc.health.v1 and reflection are served. Neither asks for a key. */
  health: boolean;
  reflection: boolean;
  /** How long a caller may take nothing of a stream; shorter in tests that wait for it. */
  slowMs?: number | undefined;
}

/** The gRPC server, as a process that can be started and stopped. */
export class Api implements Process {
  private readonly parts: CallParts;
  private readonly options: ApiOptions;
  private readonly server: Server;
  private readonly connections: Connections;
  private readonly health: HealthImplementation;
  private readonly streams = new Streams();
  private certificates: Watched<SecureContextOptions> | undefined;
  /** The port that it listens on, known once it is started. */
  port = 0;

  constructor(parts: CallParts, options: ApiOptions) {
    this.parts = parts;
    this.options = options;
    refuseInvalidUtf8();
    // What it would print stands in the errors that it throws, and is no line of our log.
    setLogVerbosity(logVerbosity.NONE);
    this.server = new Server({
      "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
      "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
      "grpc.max_concurrent_streams": STREAMS_MAX,
      "grpc.keepalive_time_ms": KEEPALIVE_MS,
      "grpc.max_connection_idle_ms": CONNECTION_IDLE_MS,
      // Nobody serves what it would gather of each call and message.
      "grpc.enable_channelz": 0,
    });
    this.connections = new Connections({ server: this.server, log: parts.log }, paceOf);
    const names = services.map((one) => one.name);
    for (const one of services) this.addService(one);
    this.health = new HealthImplementation(
      Object.fromEntries(["", ...names].map((name) => [name, "NOT_SERVING"])),
    );
    if (options.health) {
      this.health.addToServer(this.server);
      names.push("grpc.health.v1.Health");
    }
    if (options.reflection) addReflection(this.server, names);
  }

  async start(): Promise<void> {
    const { address } = this.options;
    const credentials = await this.openCredentials();
    this.port = await new Promise<number>((resolve, reject) => {
      this.server.bindAsync(address, credentials, (error, port) =>
        error === null
          ? resolve(port)
          : reject(new Error(`PARLEY_GRPC_ADDRESS: cannot listen on ${address}: ${error.message}`)),
      );
    });
    await this.connections.start();
    this.setHealth("SERVING");
    // The first call need not wait for the epoch; a part that is away now is the calls' to tell.
    this.parts.core.numbering.check().catch((error: Error) => {
      const err = error.cause ?? error;
      this.parts.log.warn({ err }, "no numbers can be allocated now; creates say UNAVAILABLE");
    });
  }

  /**
   * Says NOT_SERVING, ends the streams, lets the other calls in work end, and cuts what is left
   * after the grace time.
   */
  async stop(): Promise<void> {
    this.certificates?.stop();
    this.setHealth("NOT_SERVING");
    this.streams.stop();
    await new Promise<void>((resolve) => {
      const cut = setTimeout(() => this.server.forceShutdown(), this.options.graceMs);
      this.server.tryShutdown(() => {
        clearTimeout(cut);
        resolve();
      });
    });
    await this.connections.stop();
  }

  /** Certificates are read again when their files change. */
  private async openCredentials(): Promise<ServerCredentials> {
    const { tls } = this.options;
    if (tls === undefined) return ServerCredentials.createInsecure();
    let credentials: TlsCredentials | undefined;
    this.certificates = new Watched({
      files: filesOf(tls),
      parse: toContext,
      use: (context) => {
        if (credentials === undefined) credentials = new TlsCredentials(context);
        else credentials.replace(context);
      },
      log: this.parts.log,
    });
    await this.certificates.start();
    return credentials!;
  }

  private setHealth(status: "SERVING" | "NOT_SERVING"): void {
    for (const name of ["", ...services.map((one) => one.name)])
      this.health.setStatus(name, status);
  }

  private addService({ name, service, routes }: (typeof services)[number]): void {
    const definition: Record<string, unknown> = {};
    const handlers: Record<string, ReturnType<typeof unary | typeof stream>> = {};
    const { slowMs } = this.options;
    const streamParts = { ...this.parts, streams: this.streams, slowMs };
    for (const [rpc, method] of Object.entries(service)) {
      const input = registry.getService(name)!.method[rpc]!.input.typeName;
      const decode = decoderOf<unknown>(input, method.requestDeserialize);
      definition[rpc] = { ...method, requestDeserialize: (bytes: Encoded) => bytes };
      const route: unknown = routes[rpc as keyof typeof routes];
      const one = { name: method.path.slice(1), decode };
      handlers[rpc] = method.responseStream
        ? stream({ ...one, route: route as StreamRoute<unknown, unknown> }, streamParts)
        : unary({ ...one, route: route as Route<unknown, unknown> }, this.parts);
    }
    this.server.addService(definition as ServiceDefinition, handlers);
  }
}

const STREAMS: ReadonlySet<string> = new Set(
  services.flatMap(({ service }) =>
    Object.values(service).flatMap(({ path, responseStream }) => (responseStream ? [path] : [])),
  ),
);

/** How long calls may take: reflection, who watches health, and our own streams, which last. */
function paceOf(path: string): Pace {
  if (STREAMS.has(path)) return "lasting";
  const long = path.startsWith("/grpc.reflection.") || path === "/grpc.health.v1.Health/Watch";
  return long ? "long" : "short";
}
