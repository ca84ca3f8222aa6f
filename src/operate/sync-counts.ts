import { z } from "zod";
import { syncCounts } from "../worker/chores.ts";
import { operation } from "./operation.ts";

export const syncCountsOperation = operation({
  name: "sync-counts",
  description: "copy the counts from the counters now",
  input: z.object({}),
  async run({ core }, _, output) {
    const copied = await syncCounts(core, () => new Date());
    output.line(`${copied} counts copied`);
  },
});
