import { spawn } from "node:child_process";
import { symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Puts a program of this folder into one file in `into`, so that each start of it is quick. */
export async function bundleChild(into: string, name: string): Promise<string> {
  const outfile = join(into, `${name}.mjs`);
  await build({
    entryPoints: [join(ROOT, "test", "support", `${name}.ts`)],
    outfile,
    bundle: true,
    minify: true,
    platform: "node",
    format: "esm",
    logLevel: "error",
    external: ["better-sqlite3"],
    // Its main file is in a form that esbuild cannot follow.
    alias: { "jsonc-parser": "jsonc-parser/lib/esm/main.js" },
    // Some of our libraries are CommonJS and ask for `require` themselves.
    banner: {
      js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
    },
  });
  symlinkSync(join(ROOT, "node_modules"), join(into, "node_modules"));
  return outfile;
}

/** Runs a bundled program to its end and gives what it said. */
export function runChild(program: string, args: readonly string[], uid?: number): Promise<string> {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    ...(uid !== undefined && { uid }),
  });
  let said = "";
  child.stdout.on("data", (data) => {
    said += data;
  });
  return new Promise((resolve) => child.on("close", () => resolve(said.trim())));
}
