import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Logger } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { Process } from "./process.ts";

/** How long a request may take to be whole, and a connection may stay without one. */
const REQUEST_MS = 5_000;
const IDLE_MS = 5_000;
/** A connection that takes no byte of its answer for so long is closed. */
const SILENT_MS = 10_000;
/** A scraper needs one; what comes beyond these is closed. */
const CONNECTIONS_MAX = 32;
const HEADER_BYTES_MAX = 8 * 1024;

/** Answers GET /metrics, and nothing else. */
export class MetricsPort implements Process {
  private readonly metrics: Metrics;
  private readonly address: string;
  private readonly log: Logger;
  private readonly server = createServer(
    {
      requestTimeout: REQUEST_MS,
      headersTimeout: REQUEST_MS,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: HEADER_BYTES_MAX,
    },
    (request, response) => void this.answer(request, response),
  );
  /** Those who ask at the same time get one answer. */
  private underway: Promise<string> | undefined;
  /** The port that it listens on, known once it is started. */
  port = 0;

  constructor(parts: { metrics: Metrics; log: Logger }, options: { address: string }) {
    this.metrics = parts.metrics;
    this.log = parts.log;
    this.address = options.address;
    this.server.timeout = SILENT_MS;
    this.server.maxConnections = CONNECTIONS_MAX;
  }

  async start(): Promise<void> {
    const { address, server } = this;
    const colon = address.lastIndexOf(":");
    const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => {
        const what = `cannot listen on ${address}: ${error.message}`;
        reject(new Error(`PARLEY_METRICS_ADDRESS: ${what}`));
      });
      server.listen({ host, port: Number(address.slice(colon + 1)) }, resolve);
    });
    // What goes wrong from here on is a connection's own.
    server.on("error", (err) => this.log.warn({ err }, "the port of the metrics"));
    this.port = (server.address() as AddressInfo).port;
    this.log.info({ port: this.port }, "metrics are served");
  }

  async stop(): Promise<void> {
    if (!this.server.listening) return;
    await new Promise((resolve) => {
      this.server.close(resolve);
      this.server.closeAllConnections();
    });
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A body is nothing that we read.
    request.resume();
    if (request.url?.split("?")[0] !== "/metrics") return end(response, 404, "see /metrics\n");
    if (request.method !== "GET") {
      response.setHeader("allow", "GET");
      return end(response, 405, "GET it\n");
    }
    try {
      this.underway ??= this.metrics.scrape().finally(() => {
        this.underway = undefined;
      });
      response.setHeader("content-type", this.metrics.contentType);
      end(response, 200, await this.underway);
    } catch (err) {
      this.log.error({ err }, "metrics cannot be told");
      end(response, 500, "metrics cannot be told now\n");
    }
  }
}

function end(response: ServerResponse, status: number, body: string): void {
  response.statusCode = status;
  response.end(body);
}
