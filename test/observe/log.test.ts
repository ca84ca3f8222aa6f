import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect } from "chai";

const url = new URL("../../src/log.ts", import.meta.url).href;

/** Runs a program that has a log, and gives the lines of its output. */
async function linesOf(program: string): Promise<string[]> {
  const opened = `import { openLog } from ${JSON.stringify(url)};
    const { log, flush } = openLog({ level: "info", process: "test", to: "stdout" });
    process.once("exit", flush);
    ${program}`;
  const words = ["--input-type=module", "-e", opened];
  const { stdout } = await promisify(execFile)(process.execPath, words);
  return stdout.split("\n").slice(0, -1);
}

describe("the log", () => {
  it("has its last lines where a process ends by itself", async () => {
    for (let run = 0; run < 10; run++) {
      const lines = await linesOf(`log.info("first"); log.info("last");`);
      expect(lines.map((line) => JSON.parse(line).msg)).to.deep.equal(["first", "last"]);
    }
  });

  it("has every line whole and in order, longer ones than it gathers too", async () => {
    const lines = await linesOf(`
      const textOf = (at) => "ä€😀".repeat(at % 50 === 7 ? 9_000 : at);
      for (let at = 0; at < 300; at++) log.info({ at }, textOf(at));`);
    expect(lines.map((line) => JSON.parse(line).at)).to.deep.equal([...Array(300).keys()]);
  });
});
