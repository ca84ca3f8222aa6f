import { epochNewOperation } from "./epoch.ts";
import type { Operation } from "./operation.ts";
import { reindexOperation } from "./reindex.ts";
import { syncCountsOperation } from "./sync-counts.ts";

/** Every operation, in the order in which the command line lists them. */
export const operations: Operation[] = [syncCountsOperation, reindexOperation, epochNewOperation];
