import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execProgram } from "../../src/exec.js";
import { bundleChild } from "../support/child.js";
import { PROGRAM } from "../support/cli.js";
import { type Desk, openDesk, type Ran } from "../support/desk.js";

export const WORKSTREAM = "shop";

/** The desk of a round: a repository, agents by name, and files with which the chaos reaches into every `mu`. */
export interface Stage extends Desk {
  agents: readonly string[];
  /** The folder of the round, where ledgers and switches are. */
  round: string;
  stateDir: string;
  /** Whether the state folder is a small file system of its own, which can be filled. */
  isSmallDisk: boolean;
  /** `mu` as the agents have it, through the shim that the chaos changes. */
  shim(...words: string[]): Promise<Ran>;
  git(...args: string[]): string;
  /** The processes of `mu` that run now. */
  running(): number[];
  /** Starts the agents that are not there. */
  ensure(): Promise<void>;
  close(): Promise<void>;
}

const SMALL_DISK = "96m";

/**
 * Every start of mu writes down its pid; with `host` it runs under another host name, and `ahead` is how many ms its clock
 * is ahead. `exec` keeps the pid.
 */
const shimOf = (round: string) => `#!/bin/sh
echo $$ >'${round}/running/'$$
set -- '${process.execPath}' --require '${round}/clock.cjs' '${PROGRAM}' "$@"
[ -e '${round}/host' ] && exec unshare --uts sh -c 'hostname elsewhere && exec "$@"' sh "$@"
exec "$@"
`;

const CLOCK = `const { readFileSync } = require("node:fs");
let ahead = 0;
try { ahead = Number(readFileSync(__dirname + "/ahead", "utf8")); } catch {}
const Real = Date;
if (ahead !== 0) globalThis.Date = class extends Real {
  constructor(...args) { if (args.length === 0) super(Real.now() + ahead); else super(...args); }
  static now() { return Real.now() + ahead; }
};
`;

/** A round's stage with its tasks; the agents have not started. */
export async function openStage(agents: readonly string[], plan: object, seed: number): Promise<Stage> {
  const desk = openDesk();
  const { dir } = desk.server;
  const [round, stateDir] = [join(dir, "round"), join(dir, "state")];
  for (const name of ["ledger", "faults", "running"]) mkdirSync(join(round, name), { recursive: true });
  mkdirSync(stateDir);
  const isSmallDisk = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${SMALL_DISK}`, "tmpfs", stateDir]).status === 0;
  writeFileSync(join(dir, "bin", "mu"), shimOf(round), { mode: 0o755 });
  writeFileSync(join(round, "clock.cjs"), CLOCK);
  const env = {
    ...desk.server.env,
    PATH: `${join(dir, "bin")}:${desk.server.env["PATH"]}`,
    HOME: desk.home,
    USER: "ann",
    XDG_CACHE_HOME: join(dir, "cache"),
    MU_STATE_DIR: stateDir,
    MU_WORKSTREAM: WORKSTREAM,
  };
  const git = (...args: string[]) => execFileSync("git", args, { cwd: desk.project, env, encoding: "utf8" }).trim();
  git("init", "-q", "-b", "main");
  git("config", "user.email", "ann@example.org");
  git("config", "user.name", "Ann");
  git("commit", "-q", "--allow-empty", "-m", "Begin");
  const applied = await desk.mu(["task", "apply", "-", "--init", "-w", WORKSTREAM], { input: JSON.stringify(plan) });
  if (applied.code !== 0) throw new Error(applied.err);
  await desk.json("workstream", "set", "closeRequires", "commit", "-w", WORKSTREAM);
  const program = await bundleChild(round, "torture-child");
  const line = (name: string) => `${process.execPath} ${program} ${name} ${round} ${seed + agents.indexOf(name)}`;
  return {
    ...desk,
    agents,
    round,
    stateDir,
    isSmallDisk,
    git,
    async shim(...words) {
      const { code, stdout, stderr } = await execProgram(join(dir, "bin", "mu"), words, { cwd: desk.project, env });
      return { code, out: stdout, err: stderr };
    },
    running() {
      const pids = readdirSync(join(round, "running")).map(Number);
      return pids.filter((pid) => isMu(pid) || rmSync(join(round, "running", String(pid))));
    },
    async ensure() {
      const { items } = await desk.json<{ items: { name: string; pane: string | null }[] }>(
        ...["agent", "list", "-w", WORKSTREAM],
      );
      const there = items.filter(({ pane }) => pane !== null).map(({ name }) => name);
      for (const name of agents.filter((one) => !there.includes(one))) {
        const words = [
          "agent",
          "ensure",
          name,
          "-w",
          WORKSTREAM,
          "--cli",
          "command",
          "--command",
          line(name),
          "--no-ready",
        ];
        await desk.mu([...words, "--json"]);
      }
    },
    async close() {
      await desk.server.raw("kill-server");
      if (isSmallDisk) spawnSync("umount", ["--lazy", stateDir]);
      await desk.end();
    },
  };
}

/** A pid may be another program's by now. */
function isMu(pid: number): boolean {
  const { stdout } = spawnSync("ps", ["-o", "args=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.includes(PROGRAM);
}

export const linesOf = (file: string): Record<string, string>[] =>
  existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    : [];
