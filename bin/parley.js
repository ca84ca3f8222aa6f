#!/usr/bin/env node
import { existsSync } from "node:fs";

// A checkout runs its source as it is. The package carries JavaScript, as Node strips no types below
// node_modules.
const source = new URL("../src/main.ts", import.meta.url);
const built = new URL("../dist/src/main.js", import.meta.url);
await import(existsSync(source) ? source.href : built.href);
