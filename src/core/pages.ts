import { createHash } from "node:crypto";
import { ParleyError } from "../errors.ts";
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from "./limits.ts";

/** The version of the token's format; a reader refuses every other one. */
const FORMAT = 2;

export function pageSizeOf(asked: number): number {
  return asked === 0 ? PAGE_SIZE_DEFAULT : Math.min(asked, PAGE_SIZE_MAX);
}

/**
 * A token says where the next page begins and is bound to everything else that the request asked
 * for, so that it cannot be used with another chat, order or query. It is no secret and gives no
 * right: whatever its position says, a request reads only what its own fields name.
 */
export function encodePageToken(position: number, ...binding: (string | number)[]): string {
  const digest = digestOf([position, ...binding]);
  return Buffer.from(`${FORMAT}.${position}.${digest}`).toString("base64url");
}

/** The position that a token carries; undefined for the empty token of a first page. */
export function decodePageToken(
  token: string,
  ...binding: (string | number)[]
): number | undefined {
  if (token === "") return undefined;
  const text = Buffer.from(token, "base64url").toString("latin1");
  const [format, position, digest] = text.split(".");
  const number = Number(position);
  const ours =
    encodePageToken(number, ...binding) === token &&
    format === String(FORMAT) &&
    digest === digestOf([number, ...binding]);
  if (ours && Number.isSafeInteger(number) && number >= 0) return number;
  const description = "must be the next_page_token of the same request";
  throw new ParleyError("PAGE_TOKEN_INVALID", `page_token: ${description}`, {
    violations: [{ field: "page_token", description }],
  });
}

/** Over the position too: a token that was damaged on its way is refused, not read elsewhere. */
function digestOf(bound: (string | number)[]): string {
  return createHash("sha256").update(JSON.stringify(bound)).digest("base64url").slice(0, 16);
}
