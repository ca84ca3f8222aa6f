import { createConnection } from "mysql2/promise";
import { status } from "../scripts/services/servers.ts";
import type { Place } from "../test/support/system.ts";
import { cpuMsOf } from "./processes.ts";

/** Processor time of processes from here on, in ms, and of the servers that are this checkout's. */
export async function watchCpu(
  pids: Record<string, number>,
): Promise<() => Record<string, number>> {
  const all = { ...pids };
  for (const { name, pid } of await status()) {
    if (pid !== undefined) all[name] = pid;
  }
  const before = Object.entries(all).map(([name, pid]) => [name, pid, cpuMsOf(pid)] as const);
  const used = before.map(([name, pid, ms]) => [name, () => cpuMsOf(pid) - ms] as const);
  return () => Object.fromEntries(used.map(([name, ms]) => [name, ms()]));
}

/** What messages take on the disks, in bytes, after everything that is due was written. */
export async function bytesOnDisk({ env }: Place): Promise<{ rows: number; documents: number }> {
  const connection = await createConnection(env.PARLEY_MYSQL_URL!);
  await connection.query("ANALYZE TABLE messages");
  const [found] = await connection.query(
    "SELECT data_length + index_length AS bytes FROM information_schema.tables " +
      "WHERE table_schema = DATABASE() AND table_name = 'messages'",
  );
  await connection.end();
  const index = `${env.PARLEY_ELASTICSEARCH_URL}/${env.PARLEY_ELASTICSEARCH_INDEX}`;
  await fetch(`${index}/_flush?force=true`, { method: "POST" });
  await fetch(`${index}/_forcemerge?max_num_segments=1`, { method: "POST" });
  const stats = (await (await fetch(`${index}/_stats/store`)).json()) as {
    _all: { primaries: { store: { size_in_bytes: number } } };
  };
  return {
    rows: Number((found as { bytes: number }[])[0]!.bytes),
    documents: stats._all.primaries.store.size_in_bytes,
  };
}
