import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import * as application from "../gen/parley/v1/application.ts";
import * as chat from "../gen/parley/v1/chat.ts";
import * as errors from "../gen/parley/v1/errors.ts";
import * as message from "../gen/parley/v1/message.ts";
import * as state from "../gen/parley/v1/state.ts";
import * as client from "../src/client.ts";
import { freshPlace, start } from "./support/system.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What a project that knows nothing of Parley's source writes. */
const PROGRAM = `
import { credentials } from "@grpc/grpc-js";
import { ApplicationServiceClient, CreateApplicationRequest } from "parley/client";

const applications = new ApplicationServiceClient(process.argv[2], credentials.createInsecure());
const request = CreateApplicationRequest.fromPartial({ application: { name: "from outside" } });
applications.createApplication(request, (error, answer) => {
  if (error) throw error;
  console.log(answer.application?.name);
  applications.close();
});
`;

describe("the client that other projects import", () => {
  it("exports everything that the contract's files do", () => {
    const inner = ["protobufPackage", "protobufFileName"];
    for (const file of [application, chat, errors, message, state]) {
      const names = Object.keys(file).filter(
        (name) => !inner.includes(name) && !/(From|To)JSON$/.test(name),
      );
      expect(client).to.include.keys(names);
    }
  });

  it("works from its package, compiled, in an empty project", async function () {
    this.timeout(120_000);
    const folder = mkdtempSync(join(tmpdir(), "parley-package-"));
    const run = (command: string, ...args: string[]) =>
      execFileSync(command, args, { cwd: folder, encoding: "utf8", stdio: "pipe" });
    const place = await freshPlace("embedded");
    const parley = await start(place);
    try {
      execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: root });
      // Its packages are this checkout's: the registry has been asked once already.
      run("tar", "xzf", "parley-0.1.0.tgz");
      run("mkdir", "-p", "node_modules");
      run("mv", "package", "node_modules/parley");
      for (const scope of ["@grpc", "@bufbuild"]) {
        run("ln", "-s", join(root, "node_modules", scope), `node_modules/${scope}`);
      }
      writeFileSync(join(folder, "program.mts"), PROGRAM);
      writeFileSync(join(folder, "package.json"), '{"type":"module"}');
      const tsc = join(root, "node_modules/.bin/tsc");
      const types = ["--types", "node", "--typeRoots", join(root, "node_modules/@types")];
      run(tsc, "program.mts", "--module", "nodenext", "--strict", "--skipLibCheck", ...types);
      // The server is in this process, so the program must not block it.
      const { spawn } = await import("node:child_process");
      const child = spawn("node", ["program.mjs", parley.target], { cwd: folder });
      let said = "";
      child.stdout.on("data", (chunk) => {
        said += chunk;
      });
      const code = await new Promise((resolve) => child.on("close", resolve));
      expect(code).to.equal(0);
      expect(said).to.equal("from outside\n");
    } finally {
      await parley.stop();
      await place.drop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
