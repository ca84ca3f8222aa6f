import type { Database, Session } from "./database.ts";
import { WORDS } from "./dialects.ts";

/** How far a writer saw the running number of an epoch go. */
export interface Sight {
  epoch: number;
  accepts: number;
}

/** The highest running number of the latest epoch among jobs; undefined where there is none. */
export function highestOf(jobs: { epoch: number; accept: number }[]): Sight | undefined {
  let highest: Sight | undefined;
  for (const { epoch, accept } of jobs) {
    if (highest === undefined || epoch > highest.epoch) highest = { epoch, accepts: accept };
    else if (epoch === highest.epoch) highest.accepts = Math.max(highest.accepts, accept);
  }
  return highest;
}

/** Notes what a writer saw, in a row of its own; what it noted never moves back. */
export async function noteSight(
  database: Database,
  em: Session,
  writer: string,
  { epoch, accepts }: Sight,
): Promise<void> {
  const { greatest, incoming, merge } = WORDS[database.dialect];
  await database.run(
    em,
    "INSERT INTO witnesses (epoch, process_id, accepts) VALUES (?, ?, ?)" +
      merge("epoch, process_id", `accepts = ${greatest}(accepts, ${incoming("accepts")})`),
    [epoch, writer, accepts],
  );
}
