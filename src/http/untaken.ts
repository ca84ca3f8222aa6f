import type { ServerResponse } from "node:http";

const BOUNDS = {
  /** An answer of which its caller has not taken all by then is given up. */
  answerMs: 20_000,
  /** Answers that are not taken yet, of the whole process. */
  heldBytesMax: 256 * 1024 * 1024,
};

/** Bounds how long answers may wait for callers that do not read them, and what they hold. */
export class Untaken {
  private readonly bounds: typeof BOUNDS;
  private readonly held = new Map<ServerResponse, number>();
  private bytes = 0;

  constructor(bounds = BOUNDS) {
    this.bounds = bounds;
  }

  add(response: ServerResponse, body: string): void {
    const bytes = Buffer.byteLength(body);
    const timer = setTimeout(() => response.destroy(), this.bounds.answerMs).unref();
    this.held.set(response, bytes);
    this.bytes += bytes;
    response.once("close", () => {
      clearTimeout(timer);
      this.forget(response);
    });
    // The oldest had the most time to be taken.
    for (const oldest of this.held.keys()) {
      if (this.bytes <= this.bounds.heldBytesMax || oldest === response) return;
      this.forget(oldest);
      oldest.destroy();
    }
  }

  private forget(response: ServerResponse): void {
    this.bytes -= this.held.get(response) ?? 0;
    this.held.delete(response);
  }
}
