import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { settings } from "../src/config.ts";

// The reference of settings, from the table that the program itself reads them by.

/** Settings by what they are about: the first group that a name fits. */
const GROUPS: [title: string, names: RegExp][] = [
  ["What it runs on", /^PARLEY_(STACK|DATA_DIR|MYSQL|REDIS|ELASTICSEARCH)/],
  ["Where it listens, and who gets in", /^PARLEY_(GRPC|HTTP|TLS|KEYS|INSECURE|REFLECTION|RATE)/],
  ["Seeing it", /^PARLEY_(LOG|HEALTH|HEARTBEAT|METRICS|TRACE|TRACING|OTLP|OTEL)/],
  ["Work and time", /^PARLEY_(REQUEST_ID|BACKLOG|WORKER|STALL|STOP|WATCH)/],
  ["Chores", /^PARLEY_(\w+_CRON|RETENTION_DAYS)$/],
  ["Commands that call a server", /^PARLEY_CLIENT_/],
  ["Others", /^PARLEY_/],
];

const HEAD = `# Settings

Parley reads its settings from environment variables. An unknown \`PARLEY_\` name, or a value out of
bounds, is named at the start and ends the command with exit code 2. An empty value means the
default. All processes of one deployment need the same values for what they share: the stack, its
addresses, \`PARLEY_ELASTICSEARCH_INDEX\` and \`PARLEY_STALL_MS\`.

\`npm run gen\` makes this page from \`src/config.ts\`.
`;

interface Setting {
  default: string;
  schema: z.ZodType;
  means: string;
}

/** The whole page. */
export function settingsPage(): string {
  const groups = new Map<string, string[]>();
  for (const [name, setting] of Object.entries(settings) as [string, Setting][]) {
    const [title] = GROUPS.find(([, names]) => names.test(name))!;
    groups.set(title, [...(groups.get(title) ?? []), rowOf(name, setting)]);
  }
  const parts = GROUPS.filter(([title]) => groups.has(title)).map(
    ([title]) =>
      `## ${title}\n\n| setting | type | default | meaning |\n|---|---|---|---|\n` +
      `${groups.get(title)!.join("\n")}\n`,
  );
  return [HEAD, ...parts].join("\n");
}

function rowOf(name: string, { default: byDefault, schema, means }: Setting): string {
  const shown = byDefault === "" ? "none" : `\`${byDefault}\``;
  const path = /_(FILE|DIR)$/.test(name) ? "path" : undefined;
  return `| \`${name}\` | ${path ?? typeOf(schema)} | ${shown} | ${means} |`;
}

/** What may stand in a setting, with its bound, in words. */
function typeOf(schema: z.ZodType): string {
  const found = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  if (found.enum) return found.enum.map((one) => `\`${one}\``).join(", ");
  if (found.type === "integer" || found.type === "number") {
    const group = (value: number | undefined) => value?.toLocaleString("en") ?? "";
    const kind = found.type === "integer" ? "whole number" : "number";
    return `${kind}, ${group(found.minimum)} to ${group(found.maximum)}`;
  }
  return found.description ?? "text";
}

export function writeSettings(folder: string): void {
  writeFileSync(join(folder, "settings.md"), settingsPage());
}
