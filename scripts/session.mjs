#!/usr/bin/env node
// A scripted session over a temporary database: what a person types, and what mu answers.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const mu = fileURLToPath(new URL("../dist/main.cjs", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "mu-session-"));
const env = {
  ...process.env,
  MU_STATE_DIR: folder,
  MU_DB_PATH: join(folder, "mu.db"),
  USER: "you",
  TMUX_TMPDIR: folder,
};
for (const name of ["MU_WORKSTREAM", "MU_SESSION", "MU_AGENT", "MU_AGENT_ID", "MU_DATABASE_URL", "TMUX", "TMUX_PANE"])
  delete env[name];

const PLAN = `tasks:
  - name: design
    title: Design the shop
    impact: 90
    effortDays: 0.5
  - name: catalogue
    title: Build the catalogue
    blockedBy: [design]
    effortDays: 2
  - name: checkout
    title: Build the checkout
    blockedBy: [design]
    effortDays: 3
  - name: launch
    title: Launch
    impact: 100
    blockedBy: [catalogue, checkout]
  - name: blog
    title: Write about it
    impact: 20
`;

/** Every line with the exit code that it must have. */
const LINES = [
  ["mu workstream init shop", 0],
  ["mu task apply plan.yaml", 0],
  ["mu task tree launch", 0],
  ["mu track list", 0],
  ["mu task claim launch", 4],
  ["mu task claim --next", 0],
  ["mu task note design 'Two pages, one cart'", 0],
  ["mu task close design --evidence 'sketches reviewed'", 0],
  ["mu task delete blog --yes", 0],
  ["mu undo --yes", 0],
  ["mu sql 'select name, status from ready order by name' --json", 0],
  ["mu state", 0],
  ["mu log -n 5", 0],
  ["mu audit verify --tables", 0],
];

try {
  writeFileSync(join(folder, "plan.yaml"), PLAN);
  const surprises = LINES.filter(([line, expected]) => run(line) !== expected);
  console.log(surprises.length === 0 ? "\nThe session went as it should." : `\nUnexpected: ${surprises.join(" | ")}`);
  process.exitCode = surprises.length === 0 ? 0 : 1;
} finally {
  // The workstream's session has a server of its own, in the folder.
  spawnSync("tmux", ["kill-server"], { env });
  rmSync(folder, { recursive: true, force: true });
}

function run(line) {
  console.log(`\n$ ${line}`);
  const shell = line.replace(/^mu /, `"${process.execPath}" "${mu}" `);
  const { status, stdout, stderr } = spawnSync("sh", ["-c", shell], { cwd: folder, env, encoding: "utf8" });
  process.stdout.write(stdout + stderr);
  return status;
}
