import { z } from "zod";

// What may stand in a setting. A description is how docs/settings.md names the kind.

/** A whole number within bounds that its error names. */
export function whole(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.coerce.number({ error }).int(error).min(min, error).max(max, error);
}

export const cron = z
  .string()
  .regex(/^\S+(\s+\S+){4,5}$/, "must be a cron line of five or six fields")
  .describe("cron line of 5 or 6 fields, in UTC");
export const flag = z.enum(["true", "false"]).transform((text) => text === "true");
const ADDRESS = /^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/;
export const address = z
  .string()
  .refine(
    (text) => ADDRESS.test(text) && Number(text.split(":").pop()) <= 65_535,
    "must be host:port with a port up to 65535",
  )
  .describe("`host:port`");
const RATIO = "must be a number from 0 to 1";
export const ratio = z.coerce.number({ error: RATIO }).min(0, RATIO).max(1, RATIO);
export const url = (...protocols: string[]) => {
  const begins = beginsOf(protocols);
  return z
    .string()
    .refine((text) => isUrl(text, protocols), { error: `must be a URL that begins with ${begins}` })
    .describe(`URL, ${begins}`);
};
/** One URL, or more with commas in between. */
export const urls = (...protocols: string[]) => {
  const begins = beginsOf(protocols);
  return z
    .string()
    .transform((text) => text.split(",").map((one) => one.trim()))
    .refine((all) => all.every((one) => isUrl(one, protocols)), {
      error: `must be URLs that begin with ${begins}, with commas in between`,
    })
    .describe(`URLs, ${begins}, with commas in between`);
};

function beginsOf(protocols: string[]): string {
  return protocols.map((one) => `${one}://`).join(" or ");
}

function isUrl(text: string, protocols: string[]): boolean {
  return protocols.includes(URL.parse(text)?.protocol.slice(0, -1) ?? "");
}
