/** The four floors: surfaces, operations, core, base. Imports go down only. */
const base = "^src/(errors|context|exec|names|clock|paths|version|events)\\.ts$|^src/db/";
const operations = "^src/operations/";
const surfaces = "^src/(cli/|main\\.ts$|mcp\\.ts$|reference\\.ts$)";

module.exports = {
  forbidden: [
    {
      name: "no-circles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["dynamic-import"] } },
    },
    {
      name: "base-knows-no-core",
      severity: "error",
      from: { path: base },
      to: { path: "^src/", pathNot: `${base}` },
    },
    {
      name: "core-knows-no-operations-and-no-surfaces",
      severity: "error",
      from: { path: "^src/", pathNot: `${operations}|${surfaces}|^src/demo/` },
      to: { path: `${operations}|${surfaces}` },
    },
    { name: "operations-know-no-surfaces", severity: "error", from: { path: operations }, to: { path: surfaces } },
    {
      name: "drivers-only-in-db",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/db/" },
      to: { path: "node_modules/(better-sqlite3|pg)/" },
    },
    {
      name: "execa-only-in-exec",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/exec\\.ts$" },
      to: { path: "node_modules/execa/" },
    },
    {
      name: "core-has-no-terminal-and-no-schemas",
      severity: "error",
      from: { path: "^src/", pathNot: `${operations}|${surfaces}` },
      to: { path: "node_modules/(zod|commander|chalk|cli-table3|@modelcontextprotocol)/" },
    },
    {
      name: "operations-do-not-draw",
      severity: "error",
      from: { path: operations },
      to: { path: "node_modules/(commander|chalk|cli-table3|@modelcontextprotocol)/" },
    },
    { name: "no-orphans", severity: "error", from: { orphan: true, path: "^src/", pathNot: "\\.d\\.ts$" }, to: {} },
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(dist|test)/" },
  },
};
