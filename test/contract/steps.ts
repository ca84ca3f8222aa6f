import { randomUUID } from "node:crypto";
import type { Deletions } from "../../src/core/deletion.ts";
import type { Ledger, Store } from "../../src/core/ports.ts";
import type { Upkeep } from "../../src/core/upkeep.ts";
import { ALL, chatJob, EVERYTHING, messageJob, newApplication } from "./jobs.ts";

export const token = randomUUID();
const key = { applicationToken: token, chatNumber: 1 };
const deletion = { counter: key, throughNumber: 1, lastChat: 1, again: false, version: 1 };
export type Steps = { store: Store; ledger: Ledger; upkeep: Upkeep; deletions: Deletions };

/** A call of every step that a database takes part in. */
export function everyStep({ store, ledger, upkeep, deletions }: Steps) {
  const seen = { processId: "one", epoch: 1, accepts: 1 };
  return {
    insertApplication: () => store.insertApplication(newApplication()),
    findApplication: () => store.findApplication(token),
    listApplications: () => store.listApplications({ after: 0, limit: 1 }),
    updateApplication: () => store.updateApplication(token, { name: "x", updateTime: new Date(0) }),
    insertJobs: () => store.insertJobs([chatJob(token, 1), messageJob(key, 1)]),
    findChat: () => store.findChat(key),
    listChats: () => store.listChats(token, ALL),
    listMessages: () => store.listMessages(key, ALL),
    findNamedChat: () => store.findNamedChat({ applicationToken: token, externalId: "x" }),
    countRows: () => store.countMessages(key, { firstNumber: 1, lastNumber: 1 }),
    findMessages: () => store.findMessages(key, [1]),
    updateCounts: () => store.updateCounts([{ counter: key, count: 1 }], new Date(0)),
    noteGaps: () => store.noteGaps([{ ...key, range: { firstNumber: 1, lastNumber: 1 } }]),
    listGaps: () => store.listGaps(1),
    updateMessage: () => store.updateMessage(key, 1, {}, { ifVersion: 0, now: new Date(0) }),
    closeGap: () => store.closeGap({ ...key, version: 1 }),
    adoptIndex: () => store.adoptIndex("index"),
    listChoreRuns: () => upkeep.listChoreRuns(),
    noteChoreRun: () => upkeep.noteChoreRun({ name: "x", beganTime: new Date(0) }),
    listSpans: () => upkeep.listSpans({ limit: 1 }),
    countMessages: () => upkeep.countMessages(),
    sumVoids: () => upkeep.sumVoids(),
    listCounters: () => upkeep.listCounters({ limit: 1 }),
    drawPosition: () => upkeep.drawPosition(),
    mendCount: () => upkeep.mendCount({ counter: key, from: 0, to: 1 }),
    adoptedIndex: () => upkeep.adoptedIndex(),
    get: () => ledger.get(),
    begin: () => ledger.begin({ after: 0, runId: "run" }),
    confirm: () => ledger.confirm({ epoch: 1, runId: "run" }),
    adopt: () => ledger.adopt({ epoch: 1, runId: "run" }),
    witness: () => ledger.witness(seen),
    grant: () => ledger.grant({ counter: key, epoch: 1, known: true }),
    listVoids: () => ledger.listVoids(key, EVERYTHING, 1),
    countVoids: () => ledger.countVoids([{ counter: key, count: 1 }]),
    insertVoids: () => ledger.insertVoids(key, { firstNumber: 1, lastNumber: 1 }),
    ceiling: () => deletions.ceiling(key),
    decide: () => deletions.decide(key, { known: true, now: new Date(0) }),
    confirmDeletion: () => deletions.confirm(key),
    listDeleted: () => deletions.listDeleted(key, [1]),
    list: () => deletions.list(1, new Date(0)),
    removeRows: () => deletions.removeRows(deletion, 1),
    postpone: () => deletions.postpone(deletion, new Date(0)),
    forget: () => deletions.forget(deletion),
    findExpired: () => deletions.findExpired({ after: "", before: new Date(0), limit: 1 }),
    expire: () => deletions.expire(key, { before: new Date(0), now: new Date(0), limit: 1 }),
  };
}
