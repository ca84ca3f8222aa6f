import type { z } from "zod";
import type { Config } from "../config.ts";
import type { Core } from "../core/core.ts";
import type { Stack } from "../core/ports.ts";

/** What an operation works with: the stack, the rules on it, and who waits for it. */
export interface Parts {
  stack: Stack;
  core: Core;
  config: Config;
  /** Aborted when whoever asked has gone. */
  signal: AbortSignal;
}

/** Where an operation says what it finds: in words for people, as an object for programs. */
export interface Output {
  /** One thing that was found or done. */
  item(found: object, words: string): void;
  /** What it all comes to: said once, after all items. */
  sum(sum: object, words: string): void;
  /** How far it has come; the last one has `done` equal to `total`. */
  progress(done: number, total: number): void;
  /** Not all is well: the program ends with exit code 1. */
  failed(): void;
}

/** What was typed is wrong: nothing was looked for, and nothing done. */
export class UsageError extends Error {}

/** Writes items and the sum as lines: of JSON, or of words. */
export function linesTo(
  write: (line: string) => void,
  { json }: { json: boolean },
): Pick<Output, "item" | "sum"> {
  return {
    item: (found, words) => write(json ? jsonOf(found) : words),
    sum: (sum, words) => write(json ? jsonOf({ summary: sum }) : words),
  };
}

/** JSON with the names of the proto files: `chat_number`. */
export function jsonOf(value: object): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (inner === null || typeof inner !== "object" || Array.isArray(inner)) return inner;
    const named = Object.entries(inner).map(([name, one]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      one,
    ]);
    return Object.fromEntries(named);
  });
}

/** One command of those who operate Parley. */
export interface Operation {
  /** As it is typed, of one word or two: `jobs list`. */
  name: string;
  description: string;
  /** As it is typed, without `parley` in front. */
  examples: string[];
  /** In order, as commander writes them: `<token>`, `[number]`. Their names are keys of `input`. */
  arguments?: { flags: string; description: string }[];
  /** As commander writes them: `--limit <number>`. */
  options?: { flags: string; description: string; default?: string }[];
  /** It runs also where the database is away or lacks migrations. */
  unready?: boolean;
  /** Checks what was typed; its messages name the bound. */
  input: z.ZodType;
  run(parts: Parts, input: unknown, output: Output): Promise<void>;
}

/** An operation whose `run` gets its input as its schema makes it. */
export function operation<Schema extends z.ZodType>(
  definition: Omit<Operation, "input" | "run"> & {
    input: Schema;
    run(parts: Parts, input: z.output<Schema>, output: Output): Promise<void>;
  },
): Operation {
  return definition as Operation;
}

/** Checks what was typed and runs the operation; throws with every argument that is wrong. */
export async function runOperation(
  { input, run }: Operation,
  typed: Record<string, unknown>,
  parts: Parts,
  output: Output,
): Promise<void> {
  const result = input.safeParse(typed);
  if (!result.success) {
    const faults = result.error.issues.map((issue) =>
      [issue.path.join("."), issue.message].join(" ").trim(),
    );
    throw new UsageError(faults.join("; "));
  }
  await run(parts, result.data, output);
}
