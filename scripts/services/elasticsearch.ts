import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { findProgram, run } from "../programs.ts";
import { giveTo, makeFolderFor } from "./account.ts";
import { withLock } from "./daemon.ts";
import { ensureJava } from "./java.ts";
import type { Place } from "./place.ts";
import type { Server } from "./server.ts";

const NUMBERS = [1, 2, 3] as const;

export const elasticsearch: Server = serverOf("");
/** Elasticsearch as three nodes: an index has one replica unless told otherwise. */
export const elasticsearchNodes: Server[] = NUMBERS.map(serverOf);

/** What tells one server's settings from another's. */
interface Own {
  name: string;
  port: number;
  transportPort: number;
  discovery: string;
}

/** A node of the cluster, or the server that stands alone. */
function serverOf(number: (typeof NUMBERS)[number] | ""): Server {
  const port = `elasticsearch${number}` as const;
  const transportPort = `elasticsearchTransport${number}` as const;
  return {
    name: number === "" ? "elasticsearch" : `elasticsearch-${number}`,
    ports: [port, transportPort],
    launch: (place, folder) => {
      const ports = { port: place.ports[port], transportPort: place.ports[transportPort] };
      const name = `parley-${number || 1}`;
      if (number === "") return start(place, folder, { ...ports, name, discovery: ALONE });
      // The nodes share one program.
      const programs = `${place.folder}/elasticsearch`;
      return start(place, folder, { ...ports, name, discovery: discoveryOf(place) }, programs);
    },
    check: ({ ports }) => check(ports[port]),
  };
}

/** The newest server on Maven Central: core modules only, which is all that Parley uses. */
const VERSION = "9.1.0";
const ARTIFACT = `org.elasticsearch.distribution.integ-test-zip:elasticsearch:${VERSION}:zip`;
const ZIP_SHA256 = "be5c5440bb6344cee4070f8f77a6c3cd72363db494944047cdd93748c4e19111";
const MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1";

async function start(
  place: Place,
  folder: string,
  own: Own,
  programs: string = folder,
): Promise<number> {
  makeFolderFor(place.account, programs);
  const home = `${programs}/elasticsearch-${VERSION}`;
  const java = await withLock(home, async () => {
    if (!existsSync(home)) await fetchServer(place, programs, home);
    return ensureJava(programs, place.account);
  });
  for (const name of ["config", "data", "logs", "tmp"]) {
    makeFolderFor(place.account, `${folder}/${name}`);
  }
  writeFileSync(`${folder}/config/elasticsearch.yml`, elasticsearchYml(folder, own));
  // The server may not have its own program below the system's folder for temporary files, where a
  // checkout may well lie; so it gets a folder of its own.
  const heap = "-Xms512m\n-Xmx512m\n";
  writeFileSync(`${folder}/config/jvm.options`, `${heap}-Djava.io.tmpdir=\${ES_TMPDIR}\n`);
  copyFileSync(`${home}/config/log4j2.properties`, `${folder}/config/log4j2.properties`);
  return await launchDaemon(place, folder, `${home}/bin/elasticsearch`, java);
}

/** The launcher stays until the server serves, and then leaves the server's own process id. */
async function launchDaemon(place: Place, folder: string, launcher: string, java: string) {
  const pidFile = `${folder}/logs/elasticsearch.pid`;
  rmSync(pidFile, { force: true });
  const env = {
    PATH: process.env.PATH,
    ES_JAVA_HOME: java,
    ES_PATH_CONF: `${folder}/config`,
    ES_TMPDIR: `${folder}/tmp`,
  };
  try {
    const options = { ...place.account, cwd: "/", env };
    await run(launcher, ["--daemonize", "--pidfile", pidFile], options);
  } catch (error) {
    // The launcher itself says no more than that the server died.
    const log = existsSync(logOf(folder)) ? readFileSync(logOf(folder), "utf8") : "";
    const causes = log
      .split("\n")
      .filter((line) => /\]\[ERROR\]|^Caused by/.test(line))
      .slice(-5);
    throw new Error([(error as Error).message, ...causes].join("\n"));
  }
  return Number(readFileSync(pidFile, "utf8"));
}

function logOf(folder: string): string {
  return `${folder}/logs/parley.log`;
}

/** The download stays in Maven's own repository, so a second checkout only unzips. */
async function fetchServer(place: Place, folder: string, home: string): Promise<void> {
  const unfinished = `${folder}/unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  await run(findProgram("mvn")!, [
    ...["--batch-mode", "--quiet", `${MAVEN_PLUGIN}:copy`],
    ...[`-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${unfinished}`],
  ]);
  const zip = `${unfinished}/elasticsearch-${VERSION}.zip`;
  // Maven only warns of a wrong checksum, and says nothing where a mirror has none.
  const sha256 = createHash("sha256").update(readFileSync(zip)).digest("hex");
  if (sha256 !== ZIP_SHA256) throw new Error(`${ARTIFACT} is not what it was: ${sha256}`);
  await run(findProgram("unzip")!, ["-q", zip, "-d", unfinished]);
  giveTo(place.account, unfinished);
  renameSync(`${unfinished}/elasticsearch-${VERSION}`, home);
  rmSync(unfinished, { recursive: true });
}

/** Watermarks are off: a developer's fuller disk would make every index read-only. */
function elasticsearchYml(folder: string, own: Own): string {
  return `cluster.name: parley
node.name: ${own.name}
path.data: ${folder}/data
path.logs: ${folder}/logs
network.host: 127.0.0.1
http.port: ${own.port}
transport.port: ${own.transportPort}
${own.discovery}
xpack.security.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
action.destructive_requires_name: false
`;
}

const ALONE = "discovery.type: single-node";

/** Two of them elect the first master; who restarts finds the others by their addresses. */
function discoveryOf({ ports }: Place): string {
  const addresses = NUMBERS.map((one) => `127.0.0.1:${ports[`elasticsearchTransport${one}`]}`);
  return `discovery.seed_hosts: [${addresses.join(", ")}]
cluster.initial_master_nodes: [${NUMBERS.map((one) => `parley-${one}`).join(", ")}]`;
}

async function check(port: number): Promise<void> {
  const url = `http://127.0.0.1:${port}/_cluster/health`;
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  const { status } = (await response.json()) as { status?: string };
  if (status !== "green" && status !== "yellow") throw new Error(`its cluster is ${status}`);
}
