import type { ServerResponse } from "node:http";

/** An answer of which its caller has not taken all by then is given up. */
const ANSWER_MS = 20_000;
/** Answers that are not taken yet, of the whole process. */
const HELD_BYTES_MAX = 256 * 1024 * 1024;

/** Bounds how long answers may wait for callers that do not read them, and what they hold. */
export class Untaken {
  private readonly held = new Map<ServerResponse, number>();
  private bytes = 0;

  add(response: ServerResponse, body: string): void {
    const bytes = Buffer.byteLength(body);
    const timer = setTimeout(() => response.destroy(), ANSWER_MS).unref();
    this.held.set(response, bytes);
    this.bytes += bytes;
    response.once("close", () => {
      clearTimeout(timer);
      this.forget(response);
    });
    // The oldest had the most time to be taken.
    for (const oldest of this.held.keys()) {
      if (this.bytes <= HELD_BYTES_MAX || oldest === response) return;
      this.forget(oldest);
      oldest.destroy();
    }
  }

  private forget(response: ServerResponse): void {
    this.bytes -= this.held.get(response) ?? 0;
    this.held.delete(response);
  }
}
