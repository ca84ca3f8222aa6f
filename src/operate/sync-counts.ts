import { z } from "zod";
import { syncCounts } from "../worker/chores.ts";
import { operation } from "./operation.ts";

export const syncCountsOperation = operation({
  name: "sync-counts",
  description: "copy the counts from the counters now",
  examples: ["sync-counts"],
  input: z.object({}),
  async run({ core, stack }, _, output) {
    const beganTime = new Date();
    const copied = await syncCounts(core, () => new Date());
    await stack.upkeep.noteChoreRun({ name: "sync-counts", beganTime });
    output.sum({ copied }, `${copied} counts copied`);
  },
});
