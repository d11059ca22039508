import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Vitest's global setup: makes the program that tests run as a process, where it is missing or older than its sources. */
export function setup(): void {
  if (builtAt() > newestSource()) return;
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(root, "node_modules/tsup/dist/cli-default.js"), "--no-dts", "--no-clean"],
    {
      cwd: root,
      encoding: "utf8",
    },
  );
  if (status !== 0) throw new Error(`the build failed:\n${stderr}`);
}

/** When the oldest of the program's own files was written, in ms; 0 while one is missing. */
function builtAt(): number {
  const files = ["main.cjs", "app.cjs", "player.cjs", "index.js"].map((name) => join(root, "dist", name));
  return Math.min(...files.map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0));
}

function newestSource(): number {
  const files = ["src", "scripts/vendor"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(root, folder, name)),
  );
  return Math.max(...files.map((file) => statSync(file).mtimeMs));
}
