import { z } from "zod";
import { address, cron, flag, ratio, url, urls, whole } from "./setting-kinds.ts";

// The only reader of process.env. Every setting is a line of the table below, which is also where
// docs/settings.md and the README's table come from.

interface Setting {
  default: string;
  schema: z.ZodType;
  means: string;
}

/** Every setting with its default and what it means. */
export const settings = {
  PARLEY_STACK: {
    default: "embedded",
    schema: z.enum(["embedded", "production"], "must be embedded or production"),
    means: "`embedded` needs nothing but Node; `production` is MySQL, Redis and Elasticsearch",
  },
  PARLEY_GRPC_ADDRESS: {
    default: "127.0.0.1:50051",
    schema: address,
    means: "where the gRPC server listens; port 0 takes a free one",
  },
  PARLEY_HTTP_ADDRESS: {
    default: "",
    schema: z.union([z.literal(""), address], { error: "must be host:port, or empty" }),
    means: "where HTTP and JSON are served beside gRPC; empty for not at all",
  },
  PARLEY_API_PROCESSES: {
    default: "1",
    schema: whole(1, 64),
    means: "processes that `parley api` runs on its one port; about one for each core (production)",
  },
  PARLEY_DATA_DIR: {
    default: "./data",
    schema: z.string().min(1),
    means: "folder of the embedded stack's files",
  },
  PARLEY_MYSQL_URL: {
    default: "mysql://parley:parley@127.0.0.1:3306/parley",
    schema: url("mysql"),
    means: "database of the production stack (MySQL 8 or MariaDB 10.11)",
  },
  PARLEY_REDIS_URL: {
    default: "redis://127.0.0.1:6379/0",
    schema: url("redis", "rediss"),
    means: "Redis of the production stack",
  },
  PARLEY_ELASTICSEARCH_URL: {
    default: "http://127.0.0.1:9200",
    schema: urls("http", "https"),
    means: "Elasticsearch of the production stack; of a cluster, more than one of its nodes",
  },
  PARLEY_ELASTICSEARCH_INDEX: {
    default: "parley-messages",
    schema: z
      .string()
      .regex(/^[a-z0-9][a-z0-9_-]{0,99}$/, "must be lower-case letters, digits, _ or -")
      .describe("1 to 100 lower-case letters, digits, `_` or `-`"),
    means: "name of the alias; the indices behind it begin with it",
  },
  PARLEY_MYSQL_POOL_MAX: {
    default: "10",
    schema: whole(2, 1_000),
    means: "connections of each process to the database",
  },
  PARLEY_REQUEST_ID_TTL: {
    default: "3600",
    schema: whole(1, 86_400),
    means: "seconds for which a request id is remembered at least",
  },
  PARLEY_BACKLOG_MAX: {
    default: "1000000",
    schema: whole(1, 100_000_000),
    means:
      "jobs that may wait (16 remembered request ids count as one) before creates are refused; " +
      "a batch must fit whole",
  },
  PARLEY_SYNC_CRON: {
    default: "0 * * * *",
    schema: cron,
    means: "when counts are copied from the counters, in UTC; six fields begin with seconds",
  },
  PARLEY_REPAIR_CRON: {
    default: "*/10 * * * * *",
    schema: cron,
    means: "when the search index is given what it lacks, and counters are seeded after a loss",
  },
  PARLEY_PURGE_CRON: {
    default: "*/10 * * * * *",
    schema: cron,
    means: "when what was deleted is purged",
  },
  PARLEY_RETENTION_DAYS: {
    default: "0",
    schema: whole(0, 36_500),
    means: "days after which messages are deleted; 0 keeps them for ever",
  },
  PARLEY_RETENTION_CRON: {
    default: "30 * * * *",
    schema: cron,
    means: "when messages that are older than that are deleted",
  },
  PARLEY_WORKER_CONCURRENCY: {
    default: "1500",
    schema: whole(1, 5_000),
    means: "jobs that one worker has in work at a time",
  },
  PARLEY_WORKER_LANES: {
    default: "4",
    schema: whole(1, 64),
    means: "batches that one worker has in work at a time",
  },
  PARLEY_STALL_MS: {
    default: "10000",
    schema: whole(1_000, 60_000),
    means:
      "after twice this time a silent worker's jobs go to others; the same for all (production)",
  },
  PARLEY_STOP_GRACE_MS: {
    default: "10000",
    schema: whole(1, 14_000),
    means: "how long calls and jobs in work may take to end when a process is told to stop",
  },
  PARLEY_HEARTBEAT_FILE: {
    default: "",
    schema: z.string(),
    means:
      "file that a running process touches every five seconds, for health checks without a port",
  },
  PARLEY_METRICS_ADDRESS: {
    default: "",
    schema: z.literal("").or(address),
    means: "where Prometheus finds the metrics of this process; empty for nowhere",
  },
  PARLEY_METRICS_EXPOSED: {
    default: "false",
    schema: flag,
    means: "`true` lets the metrics be served beyond loopback, to everybody who reaches the port",
  },
  PARLEY_OTLP_ENDPOINT: {
    default: "",
    schema: z.literal("").or(url("http", "https")),
    means: "a collector of OpenTelemetry traces, such as `http://127.0.0.1:4318`; empty for none",
  },
  PARLEY_TRACE_RATIO: {
    default: "1",
    schema: ratio,
    means: "the part of the calls that are traced, where their callers do not say, from 0 to 1",
  },
  PARLEY_LOG_LEVEL: {
    default: "info",
    schema: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]),
    means: "`info` has a line for each call",
  },
  PARLEY_TLS_CERT_FILE: {
    default: "",
    schema: z.string(),
    means: "the server's certificate and its chain, in PEM form; set, connections are encrypted",
  },
  PARLEY_TLS_KEY_FILE: {
    default: "",
    schema: z.string(),
    means: "the private key of that certificate",
  },
  PARLEY_TLS_CLIENT_CA_FILE: {
    default: "",
    schema: z.string(),
    means: "authorities; set, callers must have a certificate of one of them",
  },
  PARLEY_KEYS_FILE: {
    default: "",
    schema: z.string(),
    means: "the keys that calls need; without it, everybody who reaches the server may call",
  },
  PARLEY_INSECURE: {
    default: "false",
    schema: flag,
    means: "`true` lets the server listen beyond loopback without keys (`--insecure` does, too)",
  },
  PARLEY_HEALTH: {
    default: "true",
    schema: flag,
    means: "whether `grpc.health.v1` and `/healthz` are served; they need no key",
  },
  PARLEY_REFLECTION: {
    default: "true",
    schema: flag,
    means: "whether reflection is served; it needs no key",
  },
  PARLEY_RATE_LIMIT: {
    default: "0",
    schema: whole(0, 1_000_000),
    means: "calls per second of one application to one process; 0 is no bound",
  },
  PARLEY_RATE_BURST: {
    default: "0",
    schema: whole(0, 1_000_000),
    means: "calls that it may send at once after a pause; 0 is the calls of one second",
  },
  PARLEY_CLIENT_KEY: {
    default: "",
    schema: z.string(),
    means: "the key that `import` and `export` send",
  },
  PARLEY_CLIENT_CA_FILE: {
    default: "",
    schema: z.string(),
    means: "authorities of the server that `import`, `export`, `health` call; set, they speak TLS",
  },
  PARLEY_CLIENT_CERT_FILE: {
    default: "",
    schema: z.string(),
    means: "one PEM file with the certificate of `import`, `export`, `health` and its private key",
  },
} satisfies Record<string, Setting>;

export type Config = {
  [Name in keyof typeof settings]: z.infer<(typeof settings)[Name]["schema"]>;
};

/** A setting that is wrong; the message names it and its bound, never a secret. */
export class ConfigError extends Error {}

export function readEnv(): NodeJS.ProcessEnv {
  return process.env;
}

/** Settings from an environment: defaults, bounds, and checks of one against another. */
export function toConfig(env: NodeJS.ProcessEnv): Config {
  const faults: string[] = [];
  for (const name of Object.keys(env)) {
    if (!name.startsWith("PARLEY_") || name in settings) continue;
    // These two families belong to the tests and to scripts/services.
    if (/^PARLEY_(TEST|SERVICES)_/.test(name)) continue;
    faults.push(`${name} is no setting`);
  }
  const config: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(settings) as [string, Setting][]) {
    const result = setting.schema.safeParse(env[name] || setting.default);
    if (result.success) config[name] = result.data;
    else faults.push(`${name} ${result.error.issues.map((issue) => issue.message).join(", ")}`);
  }
  const checked = config as Config;
  if (faults.length === 0) faults.push(...faultsBetween(checked));
  if (faults.length > 0) throw new ConfigError(faults.join("\n"));
  return checked;
}

/** What is wrong with one setting in the light of another. */
function faultsBetween(config: Config): string[] {
  const faults: string[] = [];
  const cert = config.PARLEY_TLS_CERT_FILE !== "";
  const key = config.PARLEY_TLS_KEY_FILE !== "";
  if (cert !== key) {
    const [set, missing] = cert ? ["CERT", "KEY"] : ["KEY", "CERT"];
    faults.push(`PARLEY_TLS_${set}_FILE is set, so PARLEY_TLS_${missing}_FILE must be set, too`);
  } else if (config.PARLEY_TLS_CLIENT_CA_FILE !== "" && !cert) {
    faults.push("PARLEY_TLS_CLIENT_CA_FILE is set, so PARLEY_TLS_CERT_FILE must be set, too");
  }
  const open = config.PARLEY_KEYS_FILE === "" && !config.PARLEY_INSECURE;
  for (const name of ["PARLEY_GRPC_ADDRESS", "PARLEY_HTTP_ADDRESS"] as const) {
    if (!open || config[name] === "" || isLoopback(config[name])) continue;
    faults.push(
      `${name} is beyond loopback: set PARLEY_KEYS_FILE to ask for keys, or ` +
        "PARLEY_INSECURE=true where everybody who reaches it may call",
    );
  }
  const metrics = config.PARLEY_METRICS_ADDRESS;
  if (config.PARLEY_API_PROCESSES > 1) {
    if (config.PARLEY_STACK === "embedded") {
      faults.push("PARLEY_API_PROCESSES is above 1, and the embedded stack is one process");
    } else if (metrics !== "") {
      faults.push(
        "PARLEY_API_PROCESSES is above 1, so PARLEY_METRICS_ADDRESS must be empty: each process " +
          "has metrics of its own, and one port leads to any of them",
      );
    }
  }
  if (metrics !== "" && !isLoopback(metrics) && !config.PARLEY_METRICS_EXPOSED) {
    faults.push(
      "PARLEY_METRICS_ADDRESS is beyond loopback: set PARLEY_METRICS_EXPOSED=true where " +
        "everybody who reaches it may read the metrics",
    );
  }
  return faults;
}

/** True for addresses that only this machine reaches. */
export function isLoopback(hostAndPort: string): boolean {
  const host = hostAndPort.slice(0, hostAndPort.lastIndexOf(":"));
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
