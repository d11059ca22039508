/**
 * `npm run test:nodes`: passes `npm run test:quick`, and the stories of the database file and the package, on the other
 * versions of Node that mu supports. The npm package `node` brings them, into `.cache/nodes`; they are no dependencies.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const VERSIONS = [22, 24];
const STORIES = ["db", "open", "faults", "race", "code-cache", "package", "lock"].map((name) => `test/${name}`);
const SUITES = [
  ["run", "--silent", "test:quick"],
  ["exec", "--", "vitest", "run", "--project", "stories", ...STORIES],
];
const root = fileURLToPath(new URL("../", import.meta.url));

const results = VERSIONS.map(testOn);
for (const { line } of results) console.log(line);
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;

function testOn(version: number): { line: string; passed: boolean } {
  const node = installNode(version);
  if (node === undefined) return { line: `Node ${version}: could not be installed`, passed: false };
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env["PATH"]}` };
  const exact = run(node, ["--version"]).stdout.trim();
  // Without an addon of their own, the tests prove that mu can do with Node's SQLite.
  const addon = run(node, ["-e", "new (require('better-sqlite3'))(':memory:')"]).status === 0;
  const on = `Node ${exact}, ${addon ? "better-sqlite3" : "node:sqlite"}`;
  console.log(`\n${on}`);
  const passed = SUITES.every((args) => spawnSync("npm", args, { cwd: root, env, stdio: "inherit" }).status === 0);
  return { line: `${on}: ${passed ? "passed" : "failed"}`, passed };
}

/** The program of the newest Node of that major version; undefined if npm cannot install it. */
function installNode(version: number): string | undefined {
  const folder = join(root, ".cache", "nodes", String(version));
  const node = join(folder, "node_modules", "node", "bin", "node");
  if (existsSync(node)) return node;
  mkdirSync(folder, { recursive: true });
  const manifest = { private: true, dependencies: { node: String(version) }, allowScripts: { node: true } };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  const npm = spawnSync("npm", ["install", "--no-audit", "--no-fund"], { cwd: folder, stdio: "inherit" });
  return npm.status === 0 && existsSync(node) ? node : undefined;
}

function run(file: string, args: readonly string[]) {
  return spawnSync(file, args, { cwd: root, encoding: "utf8" });
}
