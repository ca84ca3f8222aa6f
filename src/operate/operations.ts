import { doctorOperation } from "./doctor.ts";
import { epochNewOperation } from "./epoch.ts";
import type { Operation } from "./operation.ts";
import { reindexOperation } from "./reindex.ts";
import { syncCountsOperation } from "./sync-counts.ts";
import { verifyCountsOperation } from "./verify-counts.ts";

/** Every operation, in the order in which the command line lists them. */
export const operations: Operation[] = [
  syncCountsOperation,
  verifyCountsOperation,
  reindexOperation,
  epochNewOperation,
  doctorOperation,
];
