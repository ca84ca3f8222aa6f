import type { Numbering } from "../../src/core/numbering.ts";
import type { Stack } from "../../src/core/ports.ts";
import { ParleyError } from "../../src/errors.ts";
import type { Turns } from "./turns.ts";

/** The chore that seeds what nobody uses, beside those who use it. */
export async function reseedAll(
  turns: Turns,
  { stack, numbering }: { stack: Stack; numbering: Numbering },
): Promise<void> {
  const listed = await turns.step(stack, () => stack.ledger.listUnseeded(10));
  for (const { position: _, ...counter } of listed) {
    await numbering.reseed(counter).catch(unlessParleyError);
  }
}

/** A call that was refused is tried again; every other error is a fault. */
export function unlessParleyError(error: unknown): undefined {
  if (!(error instanceof ParleyError)) throw error;
}
