import type { Rebuild } from "../../core/upkeep.ts";
import { CURRENT, NEXT, type SearchTables, tablesSchema } from "./search-schema.ts";

// How an index is rebuilt while it is searched: docs/adr/0071-an-index-is-rebuilt-by-two-writes.md.

const DROP_NEXT = [`drop table if exists ${NEXT.messages}`, `drop table if exists ${NEXT.chats}`];

const SWAP = [
  `drop table ${CURRENT.messages}`,
  `drop table ${CURRENT.chats}`,
  `alter table ${NEXT.messages} rename to ${CURRENT.messages}`,
  `alter table ${NEXT.chats} rename to ${CURRENT.chats}`,
];

/** What this process, the only one on its folder, knows of a rebuild. */
export interface Rebuilding {
  underway: boolean;
  /** The tables that are written to beside the current ones. */
  next: SearchTables | undefined;
}

interface Home {
  /** Makes sure that the current tables are of this version of the code. */
  prepare(): Promise<unknown>;
  /** Runs statements in one transaction; `then` is called at its end, still inside. */
  run(statements: string[], then?: () => void): Promise<void>;
  /** Writes to the new tables alone. */
  index: Rebuild["index"];
}

export async function beginRebuild(rebuilding: Rebuilding, home: Home): Promise<Rebuild> {
  if (rebuilding.underway) throw new Error("the index is being rebuilt already");
  rebuilding.underway = true;
  try {
    await home.prepare();
    await home.run([...DROP_NEXT, ...tablesSchema(NEXT)]);
  } catch (error) {
    rebuilding.underway = false;
    throw error;
  }
  rebuilding.next = NEXT;
  return {
    index: (documents) => home.index(documents),
    finish: async () => {
      await home.run(SWAP, () => {
        rebuilding.next = undefined;
      });
      rebuilding.underway = false;
    },
    abandon: async () => {
      rebuilding.next = undefined;
      rebuilding.underway = false;
      await home.run(DROP_NEXT);
    },
  };
}
