import { existsSync, readFileSync } from "node:fs";
import { Command } from "commander";
import { addHealth } from "./health.ts";
import { addKeys } from "./keys.ts";
import { addOperations } from "./operations.ts";
import { EXIT, examplesOf } from "./run.ts";
import { addServers } from "./serve.ts";
import { addTransfers } from "./transfer.ts";

const EXIT_CODES = `
Exit codes:
  ${EXIT.fine}    all is well, or done
  ${EXIT.wrong}    something is wrong that the command looked for, or it could not do what was asked
  ${EXIT.usage}    the command line or a setting is wrong; nothing was done
  ${EXIT.interrupted}  import or export was interrupted; the same command goes on`;

/** The command line, with everything that it does. It throws CommanderError, and never exits. */
export function buildProgram(): Command {
  // From the source, or from what is built of it below dist/.
  const places = ["../../package.json", "../../../package.json"];
  const pack = places.map((one) => new URL(one, import.meta.url)).find(existsSync)!;
  const program = new Command("parley")
    .description(
      "A chat backend over gRPC. Settings are environment variables: see docs/settings.md.",
    )
    .version(JSON.parse(readFileSync(pack, "utf8")).version)
    .showHelpAfterError("(--help says what there is)")
    .addHelpText("after", EXIT_CODES)
    .addHelpText("after", examplesOf("start", "doctor", "help import"))
    .exitOverride();
  program.commandsGroup("Servers:");
  addServers(program);
  program.commandsGroup("Data:");
  addTransfers(program);
  program.commandsGroup("Operations:");
  addOperations(program);
  program.commandsGroup("Access and health:");
  addKeys(program);
  addHealth(program);
  return program;
}
