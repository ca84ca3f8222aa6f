import { readFileSync } from "node:fs";
import {
  type ChannelCredentials,
  type ClientOptions,
  credentials,
  InterceptingCall,
  type Interceptor,
} from "@grpc/grpc-js";
import type { Config } from "./config.ts";

/** How a command reaches the server. */
export interface Connection {
  credentials: ChannelCredentials;
  options: ClientOptions;
}

/** The connection of `import`: TLS where an authority is named, and a key where there is one. */
export function connectionOf(config: Config): Connection {
  const key = config.PARLEY_CLIENT_KEY;
  return {
    credentials: credentialsOf(config),
    options: key === "" ? {} : { interceptors: [bearing(key)] },
  };
}

/**
 * The connection of `health`, which sends no secret. Where no authority is named, it asks the
 * server of its own settings, whose certificate need not be made for the address it listens on.
 */
export function healthConnectionOf(config: Config): Connection {
  if (config.PARLEY_CLIENT_CA_FILE === "" && config.PARLEY_TLS_CERT_FILE !== "") {
    const pair = pairOf(config);
    const unverified = { rejectUnauthorized: false };
    // Any name will do here, and an address would make Node warn.
    const options = { "grpc.ssl_target_name_override": "localhost" };
    return { credentials: credentials.createSsl(null, pair, pair, unverified), options };
  }
  return { credentials: credentialsOf(config), options: {} };
}

function credentialsOf(config: Config): ChannelCredentials {
  const pair = pairOf(config);
  if (config.PARLEY_CLIENT_CA_FILE === "") return credentials.createInsecure();
  const ca = read("PARLEY_CLIENT_CA_FILE", config.PARLEY_CLIENT_CA_FILE);
  return credentials.createSsl(ca, pair, pair);
}

/** Certificate and private key stand in one file, as curl and others take it. */
function pairOf(config: Config): Buffer | null {
  const file = config.PARLEY_CLIENT_CERT_FILE;
  return file === "" ? null : read("PARLEY_CLIENT_CERT_FILE", file);
}

function read(setting: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Error(`${setting} cannot be read: ${(error as Error).message}`);
  }
}

function bearing(key: string): Interceptor {
  return (options, next) =>
    new InterceptingCall(next(options), {
      start: (metadata, listener, begin) => {
        metadata.set("authorization", `Bearer ${key}`);
        begin(metadata, listener);
      },
    });
}
