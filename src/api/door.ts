import { ParleyError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Process } from "../process.ts";
import type { Access } from "./access.ts";
import { type Key, type Keys, keyOf, parseKeyFile, toKeys } from "./keys.ts";
import { Rates } from "./rates.ts";
import { Watched } from "./watched.ts";

export interface DoorOptions {
  /** Without it, every call is let in. */
  keysFile: string | undefined;
  /** Calls of each application in this process; undefined for no bound. */
  rate: { callsPerSecond: number; burst: number } | undefined;
}

/** All tokens have this many characters: what is longer or shorter gets no bucket of its own. */
const TOKEN_CHARACTERS = 36;

/** Who gets in, and how often. Everything here is decided before a call costs any work. */
export class Door implements Process {
  private readonly file: Watched<Keys> | undefined;
  private readonly rates: Rates | undefined;
  private keys: Keys | undefined;

  constructor({ keysFile, rate }: DoorOptions, log: Logger) {
    this.rates = rate && new Rates(rate);
    if (keysFile === undefined) return;
    // Until the file is read there is no key that fits.
    this.keys = new Map();
    this.file = new Watched({
      files: { PARLEY_KEYS_FILE: keysFile },
      parse: ({ PARLEY_KEYS_FILE }) => readKeys(PARLEY_KEYS_FILE!),
      use: (keys) => {
        this.keys = keys;
      },
      log,
    });
  }

  async start(): Promise<void> {
    await this.file?.start();
  }

  async stop(): Promise<void> {
    this.file?.stop();
  }

  /** Whose call it is, told before its request is read; undefined where no keys are asked for. */
  identify(authorization: unknown[], access: Access<never>, nowMs: number): Key | undefined {
    if (this.keys === undefined) return undefined;
    const key = keyOf(this.keys, authorization, nowMs);
    if (!key.scopes.has(access.scope)) {
      throw new ParleyError("SCOPE_MISSING", `the key may not ${access.scope}`);
    }
    if (key.applications !== undefined && access.applicationOf === undefined) {
      throw new ParleyError("SCOPE_MISSING", "the key is bound to applications");
    }
    return key;
  }

  /**
   * Lets a call through to the application that it names, and counts it. The answer to a bound key
   * says the same whether another application exists or not.
   */
  admit(key: Key | undefined, applicationToken: string | undefined): void {
    reach(key, applicationToken);
    if (this.rates === undefined) return;
    const name = bucketOf(key, applicationToken);
    const retryMs = this.rates.take(name, performance.now());
    if (retryMs > 0) {
      const waitMs = Math.ceil(retryMs);
      const message = `the application sends more calls than it may; retry in ${waitMs} ms`;
      throw new ParleyError("RATE_LIMITED", message, { retryMs: waitMs });
    }
  }

  /** Throws where a call that goes on would not be let in any more; it is not counted again. */
  look<Request>(
    authorization: unknown[],
    access: Access<Request>,
    request: Request,
    nowMs: number,
  ): void {
    reach(this.identify(authorization, access, nowMs), access.applicationOf?.(request));
  }

  /** Notes that the application exists: a call to it was answered. */
  prove(applicationToken: string | undefined): void {
    if (applicationToken !== undefined) this.rates?.prove(applicationToken);
  }
}

function reach(key: Key | undefined, applicationToken: string | undefined): void {
  if (key?.applications !== undefined && !key.applications.has(applicationToken ?? "")) {
    throw new ParleyError("SCOPE_MISSING", "the key is bound to other applications");
  }
}

/** Calls without an application count together: those of a key, or all where there are no keys. */
function bucketOf(key: Key | undefined, applicationToken: string | undefined): string {
  if (applicationToken?.length === TOKEN_CHARACTERS) return applicationToken;
  return key === undefined ? "every caller" : `key ${key.id}`;
}

function readKeys(bytes: Buffer): Keys {
  try {
    return toKeys(parseKeyFile(bytes.toString("utf8")));
  } catch (error) {
    throw new Error(`PARLEY_KEYS_FILE ${(error as Error).message}`);
  }
}
