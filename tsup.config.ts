import { defineConfig } from "tsup";

export default defineConfig({
  entry: { main: "src/main.ts", index: "src/index.ts" },
  format: "esm",
  target: "node20",
  platform: "node",
  splitting: true,
  clean: true,
  minify: true,
  sourcemap: false,
  dts: { entry: { index: "src/index.ts" } },
  // Native modules stay outside; all else is bundled into chunks that load when their verb runs.
  external: ["better-sqlite3", "pg-native"],
  noExternal: [/^(?!better-sqlite3|pg-native|node:)/],
  banner: { js: 'import { createRequire as muCreateRequire } from "node:module"; const require = muCreateRequire(import.meta.url);' },
});
