import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeSettings } from "./settings.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * Makes what buf.gen.yaml says, and the image of the contract, below a folder: in `<folder>/gen`.
 */
export function generate(folder: string): void {
  const buf = (...args: string[]) => {
    execFileSync("buf", args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  };
  buf("generate", "--output", folder);
  buf("build", "--output", join(folder, "gen", "image.binpb"));
}

if (import.meta.main) {
  generate(root);
  writeSettings(join(root, "docs"));
}
