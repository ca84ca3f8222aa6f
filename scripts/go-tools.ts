import { existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { findProgram, run } from "./programs.ts";

// Programs that come as Go modules. They are built once in this checkout, so that no release needs
// to be downloaded, and everybody runs the same version:
//   node scripts/go-tools.ts grpcurl    prints where it is

const tools = {
  grpcurl: {
    module: "github.com/fullstorydev/grpcurl",
    version: "v1.9.3",
    program: "./cmd/grpcurl",
    stamp: "main.version",
  },
  "docker-compose": {
    module: "github.com/docker/compose/v2",
    version: "v2.40.3",
    program: "./cmd",
    stamp: "github.com/docker/compose/v2/internal.Version",
  },
  "protoc-gen-go": {
    module: "google.golang.org/protobuf",
    version: "v1.36.12",
    program: "./cmd/protoc-gen-go",
    stamp: "main.version",
  },
  "protoc-gen-go-grpc": {
    module: "google.golang.org/grpc/cmd/protoc-gen-go-grpc",
    version: "v1.6.2",
    program: ".",
    stamp: "main.version",
  },
};

export type GoTool = keyof typeof tools;

/** The path of the tool, after building it where it is not there yet (a minute or two). */
export async function ensureGoTool(name: GoTool): Promise<string> {
  const { module, version, program, stamp } = tools[name];
  const path = fileURLToPath(new URL(`../.cache/${name}-${version}/${name}`, import.meta.url));
  if (existsSync(path)) return path;
  const go = findProgram("go");
  if (go === undefined) {
    throw new Error(`${name} is built from its Go module, and there is no Go: see https://go.dev`);
  }
  // Not `go install`: it refuses a module with `replace` lines, as Compose has them.
  const downloaded = JSON.parse(
    await run(go, ["mod", "download", "-json", `${module}@${version}`]),
  );
  mkdirSync(dirname(path), { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  const flags = ["-trimpath", "-ldflags", `-X ${stamp}=${version}`];
  await run(go, ["build", ...flags, "-o", unfinished, program], { cwd: downloaded.Dir });
  renameSync(unfinished, path);
  return path;
}

if (import.meta.main) {
  const name = process.argv[2] ?? "";
  if (!(name in tools)) {
    console.error(`go-tools: name one of ${Object.keys(tools).join(", ")}`);
    process.exitCode = 2;
  } else {
    try {
      console.log(await ensureGoTool(name as GoTool));
    } catch (error) {
      console.error(`go-tools: ${(error as Error).message}`);
      process.exitCode = 1;
    }
  }
}
