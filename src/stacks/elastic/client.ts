import {
  Client,
  type DiagnosticResult,
  errors,
  type estypes,
  SniffingTransport,
  type TransportOptions,
} from "@elastic/elasticsearch";
import { ParleyError } from "../../errors.ts";

/** A request that is not answered within this time fails. A call's deadline may end it before. */
const REQUEST_TIMEOUT_MS = 10_000;

/** The status of a request to an index, or of a document for it, that is not there. */
export const MISSING = 404;

/** Tries again at once, for a connection that the server closed while it lay unused. */
class PromptTransport extends SniffingTransport {
  constructor(options: TransportOptions) {
    super({ ...options, retryBackoff: () => 0 });
  }
}

/** A client of one cluster by any of its nodes: where one does not answer, it asks the others. */
export function openElastic(nodes: string[], requestTimeoutMs = REQUEST_TIMEOUT_MS): Client {
  return new Client({
    nodes,
    requestTimeout: requestTimeoutMs,
    maxRetries: Math.max(1, nodes.length - 1),
    Transport: PromptTransport,
  });
}

export function searchUnavailable(cause: unknown): ParleyError {
  return new ParleyError("SEARCH_UNAVAILABLE", "the search index cannot be reached now", { cause });
}

/**
 * Awaits a request. Every failure is SEARCH_UNAVAILABLE, also a refusal that is our own fault or an
 * operator's: the rows are written all the same and the index is repaired from them, so no message
 * may fail for it. The cause is for the log.
 */
export async function answerOf<T>(request: Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await request;
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (error instanceof RebuildError) throw error;
    throw searchUnavailable(new Refusal(error));
  }
}

/** Says to whoever rebuilds the index why that cannot be. */
export class RebuildError extends Error {}

/** One of several answers in a response; throws, as a request of its own would, where it failed. */
export function answeredOf(answer: estypes.MsearchResponseItem): estypes.SearchResponse {
  if (!("error" in answer)) return answer as estypes.SearchResponse;
  const { status: statusCode } = answer;
  const meta = { meta: {} as DiagnosticResult["meta"], warnings: null };
  throw new errors.ResponseError({ ...meta, body: answer, statusCode, headers: {} });
}

/** True where `answerOf` threw because there is no index. */
export function isMissing(error: unknown): boolean {
  return error instanceof ParleyError && (error.cause as Refusal)?.status === MISSING;
}

/** The HTTP status of an error response; undefined where there was no response. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof errors.ResponseError ? error.statusCode : undefined;
}

/** What the log may have of an error: the client's own carries a query or bodies along. */
class Refusal extends Error {
  readonly status: number | undefined;

  constructor(error: unknown) {
    const status = statusOf(error);
    const { name, message, body } = error as Error & { body?: { error?: { type?: string } } };
    super(status === undefined ? `${name}: ${message}` : `${status} ${body?.error?.type ?? ""}`);
    this.status = status;
  }
}
