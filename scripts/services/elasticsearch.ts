import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { findJava, findProgram, run } from "./install.ts";
import type { Place } from "./place.ts";
import { giveTo, makeFolderFor, type Server } from "./server.ts";

export const elasticsearch: Server = {
  name: "elasticsearch",
  ports: ["elasticsearch", "elasticsearchTransport"],
  launch: start,
  check,
};

/** The newest server on Maven Central: core modules only, which is all that Parley uses. */
const VERSION = "9.1.0";
const ARTIFACT = `org.elasticsearch.distribution.integ-test-zip:elasticsearch:${VERSION}:zip`;
const MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1";

async function start(place: Place, folder: string): Promise<number> {
  const home = `${folder}/elasticsearch-${VERSION}`;
  if (!existsSync(home)) await fetchServer(place, folder, home);
  for (const name of ["config", "data", "logs", "tmp"]) {
    makeFolderFor(place.account, `${folder}/${name}`);
  }
  writeFileSync(`${folder}/config/elasticsearch.yml`, elasticsearchYml(place, folder));
  writeFileSync(`${folder}/config/jvm.options`, "-Xms512m\n-Xmx512m\n");
  copyFileSync(`${home}/config/log4j2.properties`, `${folder}/config/log4j2.properties`);
  // Its launcher stays until the server serves, and then leaves the server's own process id.
  const pidFile = `${folder}/logs/elasticsearch.pid`;
  rmSync(pidFile, { force: true });
  await run(`${home}/bin/elasticsearch`, ["--daemonize", "--pidfile", pidFile], {
    ...place.account,
    cwd: "/",
    env: {
      PATH: process.env.PATH,
      ES_JAVA_HOME: findJava(),
      ES_PATH_CONF: `${folder}/config`,
      ES_TMPDIR: `${folder}/tmp`,
    },
  });
  return Number(readFileSync(pidFile, "utf8"));
}

/** The download stays in Maven's own repository, so a second checkout only unzips. */
async function fetchServer(place: Place, folder: string, home: string): Promise<void> {
  const unfinished = `${folder}/unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  await run(findProgram("mvn")!, [
    ...["--batch-mode", "--quiet", "--strict-checksums", `${MAVEN_PLUGIN}:copy`],
    ...[`-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${unfinished}`],
  ]);
  const zip = `${unfinished}/elasticsearch-${VERSION}.zip`;
  await run(findProgram("unzip")!, ["-q", zip, "-d", unfinished]);
  giveTo(place.account, unfinished);
  renameSync(`${unfinished}/elasticsearch-${VERSION}`, home);
  rmSync(unfinished, { recursive: true });
}

/** Watermarks are off: a developer's fuller disk would make every index read-only. */
function elasticsearchYml(place: Place, folder: string): string {
  return `cluster.name: parley
node.name: parley-1
path.data: ${folder}/data
path.logs: ${folder}/logs
network.host: 127.0.0.1
http.port: ${place.ports.elasticsearch}
transport.port: ${place.ports.elasticsearchTransport}
discovery.type: single-node
xpack.security.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
action.destructive_requires_name: false
`;
}

async function check(place: Place): Promise<void> {
  const url = `http://127.0.0.1:${place.ports.elasticsearch}/_cluster/health`;
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  const { status } = (await response.json()) as { status?: string };
  if (status !== "green" && status !== "yellow") throw new Error(`its cluster is ${status}`);
}
