import type { Client } from "@elastic/elasticsearch";
import { FOLD_VERSION } from "../../core/fold.ts";
import type { Finding } from "../../core/upkeep.ts";
import { examined, type Findings, isAtLeast, mebibytes, percentOf } from "../findings.ts";
import { answerOf } from "./client.ts";
import { findServed, versionOf } from "./mapping.ts";
import { aliasesOf } from "./rebuild.ts";

const PART = {
  name: "Elasticsearch",
  advice:
    "start it, or see that PARLEY_ELASTICSEARCH_URL leads to it; messages are stored meanwhile",
};

const VERSION_MIN = "8.0";

/** What the server keeps free on a disk unless told otherwise: it stops writing at the last. */
const FLOOD = { percent: 95, bytes: 100 * 1024 ** 3 };
const HIGH = { percent: 90, bytes: 150 * 1024 ** 3 };

/** What Elasticsearch says of itself; `adopted` tells the index that the rows were written to. */
export function examineElastic(
  client: Client,
  { alias, adopted }: { alias: string; adopted: () => Promise<string> },
): Promise<Finding[]> {
  return examined(PART, async (findings) => {
    await addNodes(findings, client);
    await addHealth(findings, client);
    await addIndex(findings, client, { alias, adopted });
    await addRebuild(findings, client, alias);
  });
}

async function addNodes(findings: Findings, client: Client): Promise<void> {
  const startMs = performance.now();
  const info = await answerOf(client.nodes.info({ filter_path: "nodes.*.version" }));
  const tookMs = (performance.now() - startMs).toFixed(1);
  const versions = [...new Set(Object.values(info.nodes).map((node) => node.version))];
  findings.note(`${versions.join(", ")} answers in ${tookMs} ms`);
  for (const version of versions.filter((one) => !isAtLeast(one, VERSION_MIN))) {
    findings.error(`version ${version} is too old`, `use ${VERSION_MIN} or newer`);
  }
  const beforeMs = Date.now();
  const stats = await answerOf(client.nodes.stats({ metric: "fs" }));
  const afterMs = Date.now();
  for (const node of Object.values(stats.nodes)) {
    if (node.timestamp !== undefined) findings.clock(node.timestamp, { beforeMs, afterMs });
    const { available_in_bytes: free = 0, total_in_bytes: total = 0 } = node.fs?.total ?? {};
    const percent = percentOf(total - free, total);
    const what = `a node's disk is ${percent} % full, ${mebibytes(free)} free`;
    const advice = "free or add disk, or it will take no more documents";
    const isPast = (mark: typeof FLOOD) => percent >= mark.percent && free < mark.bytes;
    if (isPast(FLOOD)) findings.error(what, advice);
    else if (isPast(HIGH)) findings.warning(what, advice);
  }
}

async function addHealth(findings: Findings, client: Client): Promise<void> {
  const { status, number_of_nodes: nodes } = await answerOf(client.cluster.health());
  if (/red/i.test(status)) {
    findings.error("its health is red: data is missing", "see GET _cluster/allocation/explain");
  } else if (/yellow/i.test(status) && nodes === 1) {
    findings.note("its health is yellow: one node has no place for replicas", "add a node");
  } else if (/yellow/i.test(status)) {
    findings.warning("its health is yellow", "see GET _cluster/allocation/explain");
  }
}

async function addIndex(
  findings: Findings,
  client: Client,
  { alias, adopted }: { alias: string; adopted: () => Promise<string> },
): Promise<void> {
  const indices = await answerOf(client.indices.get({ index: alias }, { ignore: [404] }));
  const names = Object.keys(indices).filter((name) => indices[name]?.settings !== undefined);
  const served = await answerOf(findServed(client, alias));
  if (names.length > 1) {
    findings.error(`${names.join(" and ")} are behind the alias ${alias}`, "leave it one of them");
  } else if (names.length === 0) {
    findings.warning(`there is no ${alias} yet`, "it is made and filled by worker and scheduler");
  } else if (served === undefined) {
    findings.error(`${alias} is an index of somebody else`, "set PARLEY_ELASTICSEARCH_INDEX");
  }
  if (served === undefined) return;
  const version = Math.floor(versionOf(served.name, alias));
  if (version > FOLD_VERSION) {
    findings.warning(
      `${served.name} was made by a newer version of Parley`,
      "bring every process to that version",
    );
  }
  for (const [name, set] of Object.entries(indices[served.name]?.settings?.index?.blocks ?? {})) {
    if (String(set) !== "true") continue;
    findings.error(
      `${served.name} takes no documents: index.blocks.${name} is set`,
      "free disk where it is full, then PUT the setting to null",
    );
  }
  // The database may be away, which is told where it is examined.
  const identity = await adopted().catch(() => served.identity);
  if (identity !== served.identity && identity !== "") {
    findings.warning(
      "the index is another one than the rows were written to",
      "let the scheduler's repair chore run: it notes that all is missing, and fills it",
    );
  }
}

async function addRebuild(findings: Findings, client: Client, alias: string): Promise<void> {
  const { filling, retired } = aliasesOf(alias);
  for (const [name, what] of [
    [filling, "a reindex is under way, or was killed"],
    [retired, "a reindex was killed before it deleted the old index"],
  ] as const) {
    if (!(await answerOf(client.indices.existsAlias({ name })))) continue;
    findings.warning(what, "where none runs, npx parley reindex takes away what is left");
  }
}
