/**
 * The floors of the house, from the top down: a room may import rooms below its own floor and nothing else. Rooms of
 * one floor do not know each other. A room is a folder or a file of src; new rooms are added here.
 */
const FLOORS = [
  ["main", "reference"],
  ["cli"],
  ["mcp", "top", "gateway", "web"],
  ["operations"],
  ["demo", "index"],
  ["doctor", "jobs"],
  ["inbox", "backup"],
  ["dispatch"],
  ["crew"],
  ["landing"],
  ["review"],
  ["runs"],
  ["work", "state"],
  ["tracks", "workspaces", "archives", "bundles"],
  ["tasks", "notify"],
  ["project", "pricing"],
  ["agents"],
  ["journal"],
  ["workstreams", "tmux", "vcs", "checks"],
  ["host"],
  ["processes", "db", "inside"],
  ["names", "clock", "exec", "at-most", "topology", "flow"],
  ["errors", "paths", "place", "shape", "version", "code-cache", "groups", "whole-file", "redact", "filter"],
];

const roomOf = (name) => `^src/${name}(/|\\.ts$)`;
const allowed = FLOORS.flatMap((rooms, floor) => {
  const below = FLOORS.slice(floor + 1).flat();
  return rooms.map((room) => ({
    from: { path: roomOf(room) },
    to: { path: [roomOf(room), ...below.map(roomOf), "^src/[a-z]+\\.d\\.ts$"].join("|") },
  }));
});

/** Packages, each with the only places that may import it. */
const PACKAGES = [
  ["better-sqlite3|pg", "^src/db/"],
  [
    "kysely",
    "^src/(db|journal|workstreams|agents|tasks|workspaces|work|landing|review|tracks|state|crew|runs|dispatch|inbox|archives)[./]",
  ],
  ["execa", "^src/exec\\.ts$"],
  ["zod", "^src/(operations|mcp|reference)[./]"],
  ["commander|chalk|@inquirer", "^src/(cli|reference)[./]"],
  ["@modelcontextprotocol", "^src/mcp[./]"],
  ["@pydantic/genai-prices", "^src/pricing/"],
  ["hono|@hono|@dagrejs", "^src/web/[^/]+\\.ts$"],
  ["preact|marked|dompurify|anser", "^src/web/client/"],
];

module.exports = {
  forbidden: [
    {
      name: "no-circles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["dynamic-import"] } },
    },
    { name: "no-circles-of-folders", severity: "error", scope: "folder", from: {}, to: { circular: true } },
    ...PACKAGES.map(([names, places]) => ({
      name: `only-there: ${names}`,
      severity: "error",
      from: { path: "^src/", pathNot: places },
      to: { path: `node_modules/(${names})/` },
    })),
    { name: "no-orphans", severity: "error", from: { orphan: true, path: "^src/", pathNot: "\\.d\\.ts$" }, to: {} },
  ],
  allowed: [...allowed, { from: { path: "^src/" }, to: { pathNot: "^src/" } }],
  allowedSeverity: "error",
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(dist|test)/" },
  },
};
