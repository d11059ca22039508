import { spawn } from "node:child_process";
import { existsSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A change of one file of `src`: what is there, and what stands there instead. */
export interface Planted {
  file: string;
  text: string;
  instead: string;
}

/** Puts a program of this folder into one file in `into`, so that each start of it is quick; with a fault planted. */
export async function bundleChild(into: string, name: string, planted?: Planted): Promise<string> {
  const outfile = join(into, `${name}.mjs`);
  await build({
    entryPoints: [join(ROOT, "test", "support", `${name}.ts`)],
    outfile,
    bundle: true,
    minify: true,
    platform: "node",
    format: "esm",
    logLevel: "error",
    plugins: planted === undefined ? [] : [plant(planted)],
    external: ["better-sqlite3"],
    // Its main file is in a form that esbuild cannot follow.
    alias: { "jsonc-parser": "jsonc-parser/lib/esm/main.js" },
    // Some of our libraries are CommonJS and ask for `require` themselves.
    banner: {
      js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
    },
  });
  const modules = join(into, "node_modules");
  if (!existsSync(modules)) symlinkSync(join(ROOT, "node_modules"), modules);
  return outfile;
}

function plant({ file, text, instead }: Planted): Plugin {
  const path = join(ROOT, "src", file);
  return {
    name: "plant",
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, (given) => {
        if (given.path !== path) return undefined;
        const source = readFileSync(path, "utf8");
        if (!source.includes(text)) throw new Error(`${file} has no ${text}`);
        return { contents: source.replace(text, () => instead), loader: "ts" };
      });
    },
  };
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
