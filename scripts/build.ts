import { execFileSync } from "node:child_process";
import { copyFileSync, globSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

// The server as JavaScript, in dist: Node strips no types below node_modules, where a package lies.

const root = fileURLToPath(new URL("..", import.meta.url));

rmSync(join(root, "dist"), { recursive: true, force: true });
execFileSync("tsc", ["-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
// What the source reads beside itself.
for (const file of ["gen/image.binpb", ...globSync("src/**/*.lua", { cwd: root })]) {
  copyFileSync(join(root, file), join(root, "dist", file));
}
