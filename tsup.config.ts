import { createHash } from "node:crypto";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { defineConfig, type Options } from "tsup";
import { thirdPartyNotices } from "./scripts/notices.js";

/** Packages that only some verbs need: each is a file of its own, loaded when such a verb runs. */
const LAZY = [
  ...["yaml", "pg", "execa", "chalk", "fast-string-truncated-width", "@inquirer/input", "@modelcontextprotocol/sdk"],
  ...["@pydantic/genai-prices", "hono", "@hono/node-server", "@dagrejs/dagre"],
];
const nodeRequire = createRequire(import.meta.url);
const FILES: Readonly<Record<string, string>> = {
  "@modelcontextprotocol/sdk": "mcp-sdk",
  "@inquirer/input": "input",
  "fast-string-truncated-width": "string-width",
  "@pydantic/genai-prices": "genai-prices",
  "@hono/node-server": "hono-node-server",
  "@dagrejs/dagre": "dagre",
};
const fileOf = (name: string) => FILES[name] ?? name;

/** CommonJS packages with one default export are handed on as they are. */
const vendorSource = (name: string) =>
  `scripts/vendor/${name}.${["pg", "input", "string-width"].includes(name) ? "cjs" : "ts"}`;

/** Sends the imports of lazy packages to the files that hold them. */
const lazyPackages: NonNullable<Options["esbuildPlugins"]>[number] = {
  name: "lazy-packages",
  setup(build) {
    build.onResolve({ filter: /^[@a-z]/ }, ({ path }) => {
      const name = LAZY.find((lazy) => path === lazy || path.startsWith(`${lazy}/`));
      return name === undefined ? undefined : { path: `./vendor/${fileOf(name)}.cjs`, external: true };
    });
  },
};

/** Parts of Node that few verbs need and that take ms to load: each is, when something of it is first used. */
const LAZY_BUILTINS = ["child_process", "crypto", "fs/promises", "timers/promises", "tty"];

/** Puts an object of getters between the program and such a part of Node. */
const lazyBuiltins: NonNullable<Options["esbuildPlugins"]>[number] = {
  name: "lazy-builtins",
  setup(build) {
    const filter = new RegExp(`^(node:)?(${LAZY_BUILTINS.join("|")})$`);
    build.onResolve({ filter, namespace: "file" }, ({ path }) => ({
      path: path.replace("node:", ""),
      namespace: "lazy-builtin",
    }));
    build.onLoad({ filter: /./, namespace: "lazy-builtin" }, ({ path }) => {
      const getters = Object.keys(nodeRequire(path)).map((name) => `get ${name}() { return load().${name}; }`);
      const load = `let loaded; const load = () => (loaded ??= require("node:${path}"));`;
      return { contents: `${load}\nmodule.exports = { ${getters.join(", ")} };` };
    });
  },
};

/** esbuild leaves regular expressions as they are, and the program is read as Latin-1. */
const asciiAlone: NonNullable<Options["plugins"]>[number] = {
  name: "ascii-alone",
  renderChunk: (code) => ({ code: code.replace(/[\x80-\uffff]/g, escapeUnit) }),
};

const escapeUnit = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** Wraps `app.cjs` as Node would, so that it is compiled as it is read. */
const asFunction: NonNullable<Options["plugins"]>[number] = {
  name: "as-function",
  renderChunk: (code, { path }) =>
    path.endsWith("app.cjs")
      ? { code: `(function (exports, require, module, __filename, __dirname) {${code}\n})` }
      : undefined,
};

/** Binds the code cache to this build: the program knows the hash of the file that it loads. */
const appHash: NonNullable<Options["plugins"]>[number] = {
  name: "app-hash",
  buildEnd() {
    const hash = createHash("sha256").update(readFileSync("dist/app.cjs")).digest("hex").slice(0, 16);
    const main = readFileSync("dist/main.cjs", "latin1");
    if (!main.includes("@app-hash@")) throw new Error("dist/main.cjs has no place for the hash of dist/app.cjs");
    writeFileSync("dist/main.cjs", main.replaceAll("@app-hash@", hash), "latin1");
  },
};

/** The texts that jobs begin with, which a project can replace. */
const prompts: NonNullable<Options["plugins"]>[number] = {
  name: "prompts",
  buildEnd: () => cpSync("src/jobs/prompts", "dist/prompts", { recursive: true }),
};

/** The page of `mu ui`, as a browser asks for it. */
const page: NonNullable<Options["plugins"]>[number] = {
  name: "page",
  buildEnd() {
    for (const name of ["index.html", "icon.svg"]) cpSync(`src/web/client/${name}`, `dist/web/${name}`);
  },
};

/** Collects what is bundled into any file of the package. */
const notices = thirdPartyNotices("dist/THIRD-PARTY-NOTICES.txt");

/** Its main file is in a form that esbuild cannot follow. */
const alias = { "jsonc-parser": "jsonc-parser/lib/esm/main.js" };

const program: Options = {
  format: "cjs",
  outExtension: () => ({ js: ".cjs" }),
  target: "node20",
  platform: "node",
  removeNodeProtocol: false,
  splitting: false,
  minify: true,
  dts: false,
  plugins: [asciiAlone],
  // `bindings` finds a native module by searching; mu names its path instead.
  external: ["pg-native", "bindings"],
  noExternal: [/^(?!node:|pg-native|bindings)/],
  esbuildOptions(options) {
    options.charset = "ascii";
    options.alias = alias;
    options.supported = { "dynamic-import": false };
    options.define = { "import.meta.dirname": "__dirname" };
  },
};

export default defineConfig([
  {
    ...program,
    entry: { main: "src/main.ts", app: "src/cli/run.ts", player: "src/cli/player.ts" },
    clean: true,
    esbuildPlugins: [lazyPackages, lazyBuiltins, notices],
    plugins: [asciiAlone, asFunction, appHash, prompts],
  },
  {
    ...program,
    entry: Object.fromEntries(LAZY.map((name) => [`vendor/${fileOf(name)}`, vendorSource(fileOf(name))])),
    esbuildPlugins: [notices],
  },
  {
    entry: { page: "src/web/client/main.tsx" },
    outDir: "dist/web",
    format: "iife",
    outExtension: () => ({ js: ".js" }),
    platform: "browser",
    target: "es2022",
    minify: true,
    dts: false,
    noExternal: [/./],
    esbuildPlugins: [notices],
    plugins: [page],
    esbuildOptions(options) {
      options.jsx = "automatic";
      options.jsxImportSource = "preact";
    },
  },
  {
    entry: { index: "src/index.ts" },
    format: "esm",
    target: "node20",
    platform: "node",
    dts: { entry: { index: "src/index.ts" } },
    external: ["better-sqlite3", "pg-native"],
    esbuildPlugins: [notices],
    noExternal: [/^(?!better-sqlite3|pg-native|node:)/],
    esbuildOptions(options) {
      options.alias = alias;
    },
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
  },
]);
