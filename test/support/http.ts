import { once } from "node:events";
import { connect } from "node:net";
import type { Running } from "./system.ts";

export const HTTP = { PARLEY_HTTP_ADDRESS: "127.0.0.1:0" };

/** What an error says, as JSON. */
export interface Said {
  code: string;
  reason: string;
  message: string;
  violations: { field: string; description: string }[];
  retry_after_ms?: number;
  call_id: string;
}

export interface HttpAnswer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: an answer of any route.
  json: any;
}

type Wish = { body?: unknown; headers?: Record<string, string> };

/** Calls the HTTP door of a system; a body that is no text and no bytes is sent as JSON. */
export function httpOf(parley: Running, standing: Record<string, string> = {}) {
  const base = `http://127.0.0.1:${parley.system.http!.port}`;
  return async (
    method: string,
    path: string,
    { body, headers = {} }: Wish = {},
  ): Promise<HttpAnswer> => {
    const raw = typeof body === "string" || body instanceof Uint8Array;
    const type: Record<string, string> =
      body === undefined ? {} : { "content-type": "application/json" };
    const response = await fetch(base + path, {
      method,
      headers: { ...type, ...standing, ...headers },
      ...(body !== undefined && { body: raw ? (body as string) : JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = text === "" ? undefined : JSON.parse(text);
    return { status: response.status, headers: response.headers, json };
  };
}

/** Sends bytes as they are, and gives what comes back until the server closes. */
export async function sendBytes(parley: Running, ...chunks: (string | Buffer)[]): Promise<string> {
  const socket = connect(parley.system.http!.port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.on("error", () => {});
  for (const chunk of chunks) socket.write(chunk);
  await once(socket, "close");
  return text;
}
