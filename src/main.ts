import { CommanderError } from "commander";
import { buildProgram } from "./cli/program.ts";
import { EXIT } from "./cli/run.ts";

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
