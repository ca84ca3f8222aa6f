import { fileURLToPath } from "node:url";
import { ensureGoTool } from "./go-tools.ts";
import { findProgram, run } from "./programs.ts";

// Reads docker-compose.yml with a real Compose, which needs no Docker engine for that, and checks
// what the file promises. It starts nothing.

interface Service {
  command?: string[];
  depends_on?: Record<string, { condition: string }>;
  environment?: Record<string, string>;
  healthcheck?: { disable?: boolean; test?: string[] };
  ports?: { host_ip?: string; published: string }[];
  volumes?: { type: string }[];
}

const root = fileURLToPath(new URL("..", import.meta.url));
const PROCESSES = ["api", "worker", "scheduler"];
const SERVERS = ["mysql", "redis", "elasticsearch"];

/** The plug-in of the Docker client where it has one, else Compose built from its Go module. */
async function findCompose(): Promise<string[]> {
  const docker = findProgram("docker");
  if (docker !== undefined) {
    const plugin = await run(docker, ["compose", "version"]).catch(() => undefined);
    if (plugin !== undefined) return [docker, "compose"];
  }
  return [await ensureGoTool("docker-compose")];
}

/** What is wrong with the file, a line each. */
function faultsOf(services: Record<string, Service>): string[] {
  const faults: string[] = [];
  const expect = (right: boolean | undefined, fault: string) => {
    if (!right) faults.push(fault);
  };
  for (const name of [...PROCESSES, ...SERVERS, "migrate"]) {
    expect(services[name] !== undefined, `there is no service ${name}`);
  }
  for (const [name, { healthcheck, ports = [], depends_on = {} }] of Object.entries(services)) {
    const healthy = healthcheck?.test !== undefined && !healthcheck.disable;
    expect(healthy || name === "migrate", `${name} has no health check`);
    for (const port of ports) {
      expect(port.host_ip === "127.0.0.1", `${name} publishes ${port.published} beyond 127.0.0.1`);
    }
    if (PROCESSES.includes(name)) {
      const migrated = depends_on.migrate?.condition === "service_completed_successfully";
      expect(migrated, `${name} does not wait for migrate`);
    }
    if (SERVERS.includes(name)) {
      const waited = services.migrate?.depends_on?.[name]?.condition === "service_healthy";
      expect(waited, `migrate does not wait for ${name}`);
      const kept = services[name]?.volumes?.some((volume) => volume.type === "volume");
      expect(kept, `${name} keeps its data in no volume`);
    }
  }
  // The ports above keep out everybody but this host; without keys the server asks to be told so.
  const { PARLEY_INSECURE, PARLEY_KEYS_FILE } = services.api?.environment ?? {};
  expect(
    PARLEY_INSECURE === "true" || Boolean(PARLEY_KEYS_FILE),
    "api has neither keys nor PARLEY_INSECURE, and would not listen in its container",
  );
  return faults;
}

try {
  const [command, ...first] = await findCompose();
  const compose = (...args: string[]) => run(command!, [...first, ...args], { cwd: root });
  const version = (await compose("version")).trim();
  const { services } = JSON.parse(await compose("config", "--format", "json"));
  const faults = faultsOf(services);
  for (const fault of faults) console.error(`compose-check: ${fault}`);
  const verdict = faults.length === 0 ? "valid" : "wrong";
  console.log(`docker-compose.yml is ${verdict}, read by ${version}; it was not run.`);
  process.exitCode = faults.length === 0 ? 0 : 1;
} catch (error) {
  console.error(`compose-check: ${(error as Error).message}`);
  process.exitCode = 1;
}
