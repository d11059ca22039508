import { defineConfig, type Options } from "tsup";

/** Packages that only some verbs need: each is a file of its own, loaded when such a verb runs. */
const LAZY = ["yaml", "pg", "execa", "chalk", "cli-table3", "@modelcontextprotocol/sdk"];
const fileOf = (name: string) => (name.startsWith("@") ? "mcp-sdk" : name);

/** CommonJS packages with one default export are handed on as they are. */
const vendorSource = (name: string) => `scripts/vendor/${name}.${["pg", "cli-table3"].includes(name) ? "cjs" : "ts"}`;

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

const program: Options = {
  format: "cjs",
  outExtension: () => ({ js: ".cjs" }),
  target: "node20",
  platform: "node",
  splitting: false,
  minify: true,
  dts: false,
  // `bindings` finds a native module by searching; mu names its path instead.
  external: ["pg-native", "bindings"],
  noExternal: [/^(?!node:|pg-native|bindings)/],
  esbuildOptions(options) {
    options.supported = { "dynamic-import": false };
    options.define = { "import.meta.url": "__fileUrl" };
    options.banner = { js: 'const __fileUrl = require("node:url").pathToFileURL(__filename).href;' };
  },
};

export default defineConfig([
  { ...program, entry: { main: "src/main.ts", app: "src/cli/run.ts" }, clean: true, esbuildPlugins: [lazyPackages] },
  {
    ...program,
    entry: Object.fromEntries(LAZY.map((name) => [`vendor/${fileOf(name)}`, vendorSource(fileOf(name))])),
  },
  {
    entry: { index: "src/index.ts" },
    format: "esm",
    target: "node20",
    platform: "node",
    dts: { entry: { index: "src/index.ts" } },
    external: ["better-sqlite3", "pg-native"],
    noExternal: [/^(?!better-sqlite3|pg-native|node:)/],
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
  },
]);
