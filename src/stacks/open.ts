import type { Config } from "../config.ts";
import type { Stack } from "../core/ports.ts";
import { migrateEmbedded, openEmbedded } from "./embedded.ts";
import type { OpenOptions } from "./options.ts";
import { migrateProduction, openProduction } from "./production.ts";

/** Opens the stack that the settings name; throws where its database is not up to date. */
export function openStack(config: Config, options: OpenOptions): Promise<Stack> {
  if (config.PARLEY_STACK === "embedded") return openEmbedded(config, options);
  return openProduction(config, options);
}

/** Brings the stack's database up to date; returns the names of the migrations that ran. */
export function migrateStack(config: Config): Promise<string[]> {
  return config.PARLEY_STACK === "embedded" ? migrateEmbedded(config) : migrateProduction(config);
}
