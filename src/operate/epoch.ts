import { z } from "zod";
import { operation } from "./operation.ts";

export const epochNewOperation = operation({
  name: "epoch new",
  description: "begin a new epoch of numbers, after an older copy of Redis or intake.db came back",
  options: [{ flags: "--yes", description: "it is meant: numbers will be skipped" }],
  examples: ["epoch new --yes"],
  input: z.object({
    yes: z.literal(true, {
      error:
        "(--yes) must be given: numbers up to the ceilings, 64 to 65,536 each, will be skipped",
    }),
  }),
  async run({ core }, _, output) {
    const { before, epoch } = await core.numbering.epochs.renew();
    output.sum(
      { before, epoch },
      `epoch ${epoch} has begun, after epoch ${before}\n` +
        "At its next use each counter goes on above every ceiling that it was ever granted. " +
        "Numbers below that have no message become voids; late jobs still win over voids.\n" +
        "API processes that run go on in the new epoch by themselves.",
    );
  },
});
