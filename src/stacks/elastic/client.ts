import { Client, errors, SniffingTransport, type TransportOptions } from "@elastic/elasticsearch";
import { ParleyError } from "../../errors.ts";

/** A request that is not answered within this time fails. A call's own deadline may end it before. */
const REQUEST_TIMEOUT_MS = 10_000;

/** The status of a request to an index, or of a document for it, that is not there. */
export const MISSING = 404;

/** Statuses that say "not now": no index, too many requests, and the server's own faults. */
export const AWAY = new Set([MISSING, 408, 429, 500, 502, 503, 504]);

/** Tries again at once, for a connection that the server closed while it lay unused. */
class PromptTransport extends SniffingTransport {
  constructor(options: TransportOptions) {
    super({ ...options, maxRetries: 1, retryBackoff: () => 0 });
  }
}

export function openElastic(url: string): Client {
  return new Client({ node: url, requestTimeout: REQUEST_TIMEOUT_MS, Transport: PromptTransport });
}

export function searchUnavailable(cause: unknown): ParleyError {
  return new ParleyError("SEARCH_UNAVAILABLE", "the search index cannot be reached now", { cause });
}

/** Awaits a request. What the server cannot do now is SEARCH_UNAVAILABLE; the rest is a defect. */
export async function answerOf<T>(request: Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await request;
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    const status = statusOf(error);
    const cause = new Refusal(error);
    if (status === undefined || AWAY.has(status)) throw searchUnavailable(cause);
    throw new Error("Elasticsearch refused a request of ours", { cause });
  }
}

/** True where `answerOf` threw because there is no index. */
export function isMissing(error: unknown): boolean {
  return error instanceof ParleyError && (error.cause as Refusal)?.status === MISSING;
}

/** The HTTP status of an error response; undefined where there was no response. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof errors.ResponseError ? error.statusCode : undefined;
}

/** What the log may have of an error: the client's own carries the request, so a query or bodies. */
class Refusal extends Error {
  readonly status: number | undefined;

  constructor(error: unknown) {
    const status = statusOf(error);
    const { name, message, body } = error as Error & { body?: { error?: { type?: string } } };
    super(status === undefined ? `${name}: ${message}` : `${status} ${body?.error?.type ?? ""}`);
    this.status = status;
  }
}
