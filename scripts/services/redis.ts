import { writeFileSync } from "node:fs";
import { Redis } from "ioredis";
import { findProgram } from "../programs.ts";
import { makeFolderFor } from "./account.ts";
import { launch } from "./daemon.ts";
import type { Place } from "./place.ts";
import type { Server } from "./server.ts";

export const redis: Server = { name: "redis", ports: ["redis"], launch: start, check };

async function start(place: Place, folder: string): Promise<number> {
  makeFolderFor(place.account, `${folder}/data`);
  const settings = `${folder}/redis.conf`;
  writeFileSync(settings, redisConf(place, folder));
  return launch({
    command: findProgram("redis-server")!,
    args: [settings],
    account: place.account,
    logFile: `${folder}/log`,
  });
}

/** Every write is on disk before it is answered, and nothing is ever evicted: see the design. */
function redisConf(place: Place, folder: string): string {
  return `bind 127.0.0.1
port ${place.ports.redis}
dir ${folder}/data
daemonize no
databases 1024
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
lazyfree-lazy-expire yes
lazyfree-lazy-user-del yes
`;
}

async function check(place: Place): Promise<void> {
  const client = new Redis({
    host: "127.0.0.1",
    port: place.ports.redis,
    lazyConnect: true,
    connectTimeout: 1_000,
    commandTimeout: 1_000,
    retryStrategy: () => null,
  });
  // The error that counts is that of the call; this one would be thrown at nobody.
  client.on("error", () => {});
  try {
    await client.connect();
    await client.ping();
  } finally {
    client.disconnect();
  }
}
