import { z } from "zod";
import { reindex } from "../worker/reindex.ts";
import { plural } from "./job-words.ts";
import { operation } from "./operation.ts";

export const reindexOperation = operation({
  name: "reindex",
  description: "build the search index anew from the rows while the old one serves",
  examples: ["reindex"],
  input: z.object({}),
  async run({ stack, signal }, _, output) {
    const { indexed, refused, lacking } = await reindex(stack, {
      signal,
      progress: (done, total) => output.progress(done, total),
    });
    const words = [
      `${plural(indexed, "message")} indexed; the new index is the one that is searched now`,
    ];
    if (refused > 0) words.push(`refused: ${plural(refused, "message")}, noted for repair`);
    if (lacking > 0) words.push(`left to the repair chore: ${plural(lacking, "chat")}`);
    output.sum({ indexed, refused, lacking }, words.join("\n"));
    if (refused > 0) output.failed();
  },
});
