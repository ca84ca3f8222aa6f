import { setFlagsFromString } from "node:v8";
import { CommanderError } from "commander";
import { buildProgram } from "./cli/program.ts";
import { EXIT } from "./cli/run.ts";
import { readEnv } from "./config.ts";
import { endWithShell } from "./process.ts";

// Left to itself, V8 lets garbage pile up to several times what is in use before it collects all of
// it, so a process seems to grow for its first hour. Bound to 60 % more it stays as it started.
setFlagsFromString("--heap-growing-percent=60");
// Calls in flight survive a young collection or two, from which V8 learns to make their like among
// the old, where each keeps young ones alive: collecting took twice as long.
setFlagsFromString("--no-allocation-site-pretenuring");

endWithShell(readEnv());
try {
  await buildProgram().parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  // Commander has said what was wrong, or shown the help that was asked for.
  process.exitCode = error.exitCode === 0 ? EXIT.fine : EXIT.usage;
}
// All is done and closed. A vendor's timer that was left behind must not keep the process, as was
// seen now and then after a stop under load.
process.exit();
