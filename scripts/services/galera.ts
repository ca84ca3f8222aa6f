import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { findProgram, run } from "../programs.ts";
import { runningPid } from "./daemon.ts";
import { ask, launchMariadb, settingsFileOf } from "./mariadb.ts";
import type { Place } from "./place.ts";
import type { Cluster, Server } from "./server.ts";

/** Debian's galera-4 puts it there. */
export const GALERA_LIBRARY = "/usr/lib/galera/libgalera_smm.so";

const NUMBERS = [1, 2, 3] as const;
type NodeNumber = (typeof NUMBERS)[number];

/** One node begins the cluster, and the others copy what it has. */
const cluster: Cluster = { name: "mariadb", order: namesByPosition };

/** MariaDB as three nodes that each have everything; what one commits, all have. */
export const galeraNodes: Server[] = NUMBERS.map((number) => ({
  name: nameOf(number),
  ports: [`mysql${number}`, `mysqlGroup${number}`, `mysqlIst${number}`, `mysqlSst${number}`],
  cluster,
  launch: async (place, folder) =>
    launchMariadb(place, folder, {
      port: place.ports[`mysql${number}`],
      settings: settingsOf(place, number),
      args: await argsOf(place, number),
    }),
  check: (place) => check(place, number),
}));

function nameOf(number: NodeNumber): string {
  return `mariadb-${number}`;
}

function folderOf(place: Place, number: NodeNumber): string {
  return `${place.folder}/${nameOf(number)}`;
}

function runs(place: Place, number: NodeNumber): boolean {
  return runningPid(`${folderOf(place, number)}/pid`) !== undefined;
}

/**
 * A table without a primary key cannot be replicated safely, so here it cannot be written to. The
 * view of a node that was killed is not restored, since it is ours to say who begins.
 */
function settingsOf({ ports }: Place, number: NodeNumber): string {
  const group = (one: NodeNumber) => `127.0.0.1:${ports[`mysqlGroup${one}`]}`;
  const options = [
    `gmcast.listen_addr=tcp://${group(number)}`,
    `ist.recv_addr=127.0.0.1:${ports[`mysqlIst${number}`]}`,
    "pc.recovery=no",
  ];
  return `binlog_format=ROW
innodb_autoinc_lock_mode=2
wsrep_on=ON
wsrep_provider=${GALERA_LIBRARY}
wsrep_provider_options=${options.join(";")}
wsrep_cluster_name=parley
wsrep_cluster_address=gcomm://${NUMBERS.map(group).join(",")}
wsrep_node_name=${nameOf(number)}
wsrep_node_address=${group(number)}
wsrep_node_incoming_address=127.0.0.1:${ports[`mysql${number}`]}
wsrep_sst_method=rsync
wsrep_sst_receive_address=127.0.0.1:${ports[`mysqlSst${number}`]}
wsrep_mode=REQUIRED_PRIMARY_KEY
`;
}

/** Where no node runs, the one that has the most begins the cluster anew; every other one joins. */
async function argsOf(place: Place, number: NodeNumber): Promise<string[]> {
  const position = await positionOf(place, number);
  const start = position === undefined ? [] : [`--wsrep-start-position=${position.text}`];
  if (NUMBERS.some((one) => runs(place, one))) return start;
  const [first] = await namesByPosition(place);
  if (first !== nameOf(number)) throw new Error(`start ${first} first: it has the most`);
  markAsFirst(folderOf(place, number));
  return [...start, "--wsrep-new-cluster"];
}

/** Those that run first, and then those that have more of what was committed. */
async function namesByPosition(place: Place): Promise<string[]> {
  const running = NUMBERS.filter((one) => runs(place, one));
  const states = await Promise.all(
    running.map((one) => stateOf(place, one).catch((error: Error) => error.message)),
  );
  // Whoever has lost most of the others serves no more, and takes in no node that was killed.
  if (running.length > 0 && states.every((state) => state === "Initialized")) {
    throw new Error(
      "the nodes of MariaDB that run have lost the others: stop them, then start all",
    );
  }
  const found = [];
  for (const number of NUMBERS) {
    const seqno = runs(place, number)
      ? Number.POSITIVE_INFINITY
      : ((await positionOf(place, number))?.seqno ?? -1);
    found.push({ name: nameOf(number), seqno });
  }
  return found.sort((one, other) => other.seqno - one.seqno).map(({ name }) => name);
}

/**
 * How far a node that does not run had come, as `<history>:<transaction>`. One that ended in good
 * order wrote it down; of one that was killed InnoDB knows. Undefined where it has nothing.
 */
async function positionOf(
  place: Place,
  number: NodeNumber,
): Promise<{ text: string; seqno: number } | undefined> {
  const folder = folderOf(place, number);
  const file = stateFileOf(folder);
  if (!existsSync(file) || !existsSync(settingsFileOf(folder))) return undefined;
  const state = readFileSync(file, "utf8");
  const [, history] = /^uuid: +(\S+)$/m.exec(state) ?? [];
  const [, written] = /^seqno: +(\S+)$/m.exec(state) ?? [];
  if (written !== "-1") return { text: `${history}:${written}`, seqno: Number(written) };
  const log = `${folder}/recover.log`;
  rmSync(log, { force: true });
  await run(
    findProgram("mariadbd")!,
    [`--defaults-file=${settingsFileOf(folder)}`, "--wsrep-recover", `--log-error=${log}`],
    { ...place.account, cwd: "/" },
  );
  const text = /Recovered position: (\S+)/.exec(readFileSync(log, "utf8"))?.[1];
  const seqno = Number(text?.split(":")[1] ?? -1);
  return text === undefined || seqno < 0 ? undefined : { text, seqno };
}

/** Galera's own mark only tells who ended last in good order. */
function markAsFirst(folder: string): void {
  const file = stateFileOf(folder);
  if (!existsSync(file)) return;
  const state = readFileSync(file, "utf8");
  writeFileSync(file, state.replace("safe_to_bootstrap: 0", "safe_to_bootstrap: 1"));
}

function stateFileOf(folder: string): string {
  return `${folder}/data/grastate.dat`;
}

/** A node that copies from another, or has lost the others, does not serve. */
async function check(place: Place, number: NodeNumber): Promise<void> {
  const state = await stateOf(place, number);
  if (state !== "Synced") throw new Error(`its state is ${state}`);
}

async function stateOf({ ports }: Place, number: NodeNumber): Promise<unknown> {
  const sql = "SHOW STATUS LIKE 'wsrep_local_state_comment'";
  const [row] = await ask(ports[`mysql${number}`], sql);
  return row?.Value;
}
