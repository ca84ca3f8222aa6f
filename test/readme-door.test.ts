import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { delimiter, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { freshFolder } from "./support/door.ts";
import { findGrpcurl } from "./support/tour.ts";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));

/** Starts in the background what the reader starts in another shell, and waits until it serves. */
const STARTS = `
serve() {
  [ -z "$SERVER" ] || { kill $SERVER; wait $SERVER; }
  STARTS=$((STARTS + 1)); LOG=server-$STARTS.log; : > $LOG
  "$@" > $LOG & SERVER=$!
  until grep -q '"started"' $LOG; do kill -0 $SERVER && sleep 0.05 || exit 9; done
}
trap 'kill $SERVER; wait $SERVER' EXIT
set -e
`;

describe("the README's section on who gets in", () => {
  const folder = freshFolder();
  after(() => folder.drop());

  async function freePort(): Promise<number> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, "close");
    return port;
  }

  it("has commands that work one after the other", async function () {
    this.timeout(300_000);
    const grpcurl = await findGrpcurl();
    if (grpcurl === undefined) return this.skip();
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const [, section] = /<!-- door:begin -->([\s\S]*)<!-- door:end -->/.exec(readme)!;
    const blocks = [...section!.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block!);
    const address = `127.0.0.1:${await freePort()}`;
    const commands = blocks
      .join("")
      .replaceAll("npx parley", `node ${main}`)
      .replaceAll(
        /^(.*)npm start$/gm,
        `serve env $1 PARLEY_GRPC_ADDRESS=${address} node ${main} start`,
      )
      .replaceAll("127.0.0.1:50051", address);
    const shell = spawn("bash", ["--norc"], {
      cwd: folder.path("."),
      env: {
        PATH: [dirname(process.execPath), dirname(grpcurl), process.env.PATH].join(delimiter),
      },
    });
    let output = "";
    for (const stream of [shell.stdout, shell.stderr])
      stream.on("data", (text) => (output += text));
    shell.stdin.end(`${STARTS}${commands}\necho "all ran"\n`);
    const [code] = await once(shell, "close");
    expect({ code, output }).to.have.property("code", 0, output);
    expect(output).to.contain("all ran");
    expect(output.match(/"name": "shop"/g)).to.have.length(2);
    expect(output).to.match(/\tread\t[0-9a-f-]{36}\texpires /);
  });
});
