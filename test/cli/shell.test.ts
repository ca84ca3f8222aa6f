import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { freshPlace, type Place } from "../support/system.ts";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

describe("a command in a shell of npm's", () => {
  let place: Place;
  beforeEach(async () => {
    place = await freshPlace("embedded");
  });
  afterEach(() => place?.drop());

  it("stops in good order when the shell is ended, which tells it nothing", async () => {
    const own = { PARLEY_GRPC_ADDRESS: "127.0.0.1:0", npm_command: "exec" };
    // With a second command the shell cannot give its place to the first.
    const shell = spawn("sh", ["-c", `"${process.execPath}" "${main}" start; true`], {
      env: { ...process.env, ...place.env, ...own, PARLEY_LOG_LEVEL: "info" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const words: string[] = [];
    for await (const line of createInterface({ input: shell.stdout })) {
      if (!line.startsWith("{")) continue;
      const { msg } = JSON.parse(line);
      words.push(msg);
      if (msg === "started") shell.kill("SIGTERM");
    }
    // The output ends with the last process that has it.
    if (shell.exitCode === null && shell.signalCode === null) await once(shell, "exit");
    expect(shell.signalCode).to.equal("SIGTERM");
    expect(words.slice(-2)).to.deep.equal(["stopping", "stopped"]);
  });
});
