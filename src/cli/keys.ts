import { type Command, InvalidArgumentError } from "commander";
import { addKey, createKey, listKeys, revokeKey } from "../keys.ts";
import { linesTo } from "../operate/operation.ts";
import { attempt, examplesOf, JSON_FLAG, token } from "./run.ts";

const EXPIRE_DAYS_MAX = 36_500;

interface CreateOptions {
  file?: string;
  readOnly: boolean;
  application: string[];
  expireDays?: number;
  comment?: string;
  json?: boolean;
}

interface ListOptions {
  file: string;
  json?: boolean;
}

/** The commands that change a file of keys. */
export function addKeys(program: Command): void {
  const keys = program.command("keys").description("make, list and revoke the keys of callers");
  keys
    .command("create")
    .description("make a key; it is shown this once, and only its hash is kept")
    .option("--file <path>", "the file of keys to add it to; without it, its entry is printed")
    .option("--read-only", "it may read, not write", false)
    .option("--application <token>", "bind it to this application (repeatable)", gather, [])
    .option("--expire-days <days>", "it expires after so many days", days)
    .option("--comment <text>", "what it is for")
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      examplesOf(
        "keys create --file keys.json --comment 'the operators'",
        "keys create --file keys.json --read-only --expire-days 90",
      ),
    )
    .action((options: CreateOptions) => attempt("keys create", () => create(options)));
  keys
    .command("list")
    .description("say what a file's keys may do")
    .requiredOption("--file <path>", "the file of keys")
    .option(...JSON_FLAG)
    .addHelpText("after", examplesOf("keys list --file keys.json"))
    .action((options: ListOptions) => attempt("keys list", () => list(options)));
  keys
    .command("revoke")
    .description("take a key out of a file; running servers refuse it within a second or two")
    .argument("<id>", "its id, the part of a key between the underlines")
    .requiredOption("--file <path>", "the file of keys")
    .addHelpText("after", examplesOf("keys revoke --file keys.json 0123456789"))
    .action((id: string, { file }: { file: string }) =>
      attempt("keys revoke", () => revokeKey(file, id)),
    );
}

async function create(options: CreateOptions): Promise<void> {
  const { file, application: applications, json = false, ...wish } = options;
  const { expireDays, comment } = options;
  const { key, entry } = createKey({ ...wish, applications, expireDays, comment }, Date.now());
  if (file !== undefined) await addKey(file, entry);
  const words = file === undefined ? `${key}\n${JSON.stringify(entry)}` : key;
  printer(json).sum({ key, entry }, words);
  if (file !== undefined) {
    process.stderr.write(`Key ${entry.id} is in ${file}; it is shown only now.\n`);
  }
}

async function list({ file, json = false }: ListOptions): Promise<void> {
  const entries = await listKeys(file);
  const output = printer(json);
  for (const { hash: _, ...one } of entries) {
    const applications = one.applications?.join(",") ?? "all applications";
    const expires = one.expireTime === undefined ? "never expires" : `expires ${one.expireTime}`;
    const row = [one.id, one.scopes.join("+"), applications, expires, one.comment ?? ""];
    output.item(one, row.join("\t").trimEnd());
  }
  if (json) output.sum({ keys: entries.length }, "");
}

function printer(json: boolean) {
  return linesTo((line) => process.stdout.write(`${line}\n`), { json });
}

function gather(value: string, before: string[]): string[] {
  return [...before, token(value)];
}

function days(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= EXPIRE_DAYS_MAX) return value;
  throw new InvalidArgumentError(`It must be a whole number from 1 to ${EXPIRE_DAYS_MAX}.`);
}
