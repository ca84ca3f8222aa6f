import { doctorOperation } from "./doctor.ts";
import { epochNewOperation } from "./epoch.ts";
import { explainOperation } from "./explain.ts";
import { jobsDropOperation } from "./jobs-drop.ts";
import { jobsListOperation } from "./jobs-list.ts";
import { jobsRetryOperation } from "./jobs-retry.ts";
import { jobsShowOperation } from "./jobs-show.ts";
import type { Operation } from "./operation.ts";
import { reindexOperation } from "./reindex.ts";
import { syncCountsOperation } from "./sync-counts.ts";
import { verifyCountsOperation } from "./verify-counts.ts";

/** Every operation, in the order in which the command line lists them. */
export const operations: Operation[] = [
  syncCountsOperation,
  verifyCountsOperation,
  jobsListOperation,
  jobsShowOperation,
  jobsRetryOperation,
  jobsDropOperation,
  explainOperation,
  doctorOperation,
  reindexOperation,
  epochNewOperation,
];
