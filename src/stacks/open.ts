import type { Config } from "../config.ts";
import type { Stack } from "../core/ports.ts";
import type { OpenOptions } from "./options.ts";

// Each stack is loaded where it is wanted: loading the vendors of both takes most of a start.

/** Opens the stack that the settings name; throws where its database is not up to date. */
export async function openStack(config: Config, options: OpenOptions): Promise<Stack> {
  if (config.PARLEY_STACK === "embedded") {
    const { openEmbedded } = await import("./embedded.ts");
    return openEmbedded(config, options);
  }
  const { openProduction } = await import("./production.ts");
  return openProduction(config, options);
}

/** Brings the stack's database up to date; returns the names of the migrations that ran. */
export async function migrateStack(config: Config): Promise<string[]> {
  if (config.PARLEY_STACK === "embedded") {
    return (await import("./embedded.ts")).migrateEmbedded(config);
  }
  return (await import("./production.ts")).migrateProduction(config);
}
