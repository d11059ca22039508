import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createWorkspace } from "../src/workspaces/create.js";
import { type Cost, type Figure, inTurns, ms, shown } from "./measure.js";
import { costOfMu, costOfScript, onStage, type Stage } from "./stage.js";

const FILES = 20_000;
const WORKSPACES = 20;
const ROUNDS = 5;
const PLUS_MS = 150;

const IDENTITY = {
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "Ann",
  GIT_AUTHOR_EMAIL: "ann@example.org",
  GIT_COMMITTER_NAME: "Ann",
  GIT_COMMITTER_EMAIL: "ann@example.org",
};

/** A workspace of a large repository beside git's own, and the list of many beside counting one after the other. */
export async function workspaces(): Promise<Figure[]> {
  return onStage(async (stage) => [await creation(stage), await listing(stage)]);
}

async function creation(stage: Stage): Promise<Figure> {
  const env = { ...stage.env, ...IDENTITY };
  const root = newRepository(join(stage.folder, "large"), FILES, env);
  let n = 0;
  const clear = (path: string) => {
    rmSync(path, { recursive: true, force: true });
    execFileSync("git", ["worktree", "prune"], { cwd: root, env });
    execFileSync("sync");
  };
  const turns = {
    floor: () => {
      const path = join(stage.folder, "by-hand");
      const cost = costOfScript(`git -C ${root} worktree add -q --detach ${path}`, env);
      clear(path);
      return cost;
    },
    figure: () => {
      const agent = `w${n++}`;
      const cost = costOfMu(["workspace", "create", agent, "-w", "w", "--project-root", root], env);
      costOfMu(["workspace", "free", agent, "-w", "w"], env);
      execFileSync("sync");
      return cost;
    },
  };
  // What 20,000 files cost is the disk's to say, and whoever comes second pays for the first: they take turns in coming
  // first, and the least disturbed round of each is compared.
  const costs: Record<keyof typeof turns, Cost[]> = { floor: [], figure: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const names = ["floor", "figure"] as const;
    for (const name of round % 2 === 0 ? names : names.toReversed()) costs[name].push(turns[name]());
  }
  const least = (all: readonly Cost[]) => all.reduce((a, b) => (b.cpuMs < a.cpuMs ? b : a));
  const [floor, figure] = [least(costs.floor), least(costs.figure)];
  const most = floor.cpuMs * 1.15 + PLUS_MS;
  return {
    what: `\`mu workspace create\` in a repository of ${FILES.toLocaleString("en")} files`,
    floor: `\`git worktree add --detach\`: ${shown(floor)}`,
    figure: `${shown(figure)}: floor + ${ms(figure.cpuMs - floor.cpuMs)}`,
    bar: `≤ 1.15 × floor + ${PLUS_MS} ms`,
    met: figure.cpuMs <= most,
  };
}

async function listing(stage: Stage): Promise<Figure> {
  const env = { ...stage.env, ...IDENTITY };
  const root = newRepository(join(stage.folder, "busy"), 200, env);
  const crew = { ...stage.crew, env: { ...stage.crew.env, ...IDENTITY } };
  const paths: string[] = [];
  for (let n = 0; n < WORKSPACES; n++) {
    const { path } = await createWorkspace(crew, { workstream: "w", name: `l${n}` }, { projectRoot: root });
    for (let commits = 0; commits <= n % 3; commits++) commit(path, `own-${commits}.txt`, env);
    paths.push(path);
  }
  for (let n = 0; n < 50; n++) commit(root, `landed-${n}.txt`, env);
  const counts = paths.map((path) => `git -C ${path} rev-list --left-right --count main...HEAD`).join("; ");
  const { floor, figure, start } = await inTurns(ROUNDS * 3, {
    floor: () => costOfScript(counts, env),
    figure: () => costOfMu(["workspace", "list", "-w", "w"], env),
    start: () => costOfMu(["task", "list", "-w", "w"], env),
  });
  const own = figure.wallMs - start.wallMs;
  return {
    what: `\`mu workspace list\` with ${WORKSPACES} workspaces, beyond what any read of mu takes (${ms(start.wallMs)})`,
    floor: `one \`git rev-list --count\` each, serial: ${ms(floor.wallMs)} (wall)`,
    figure: `${ms(own)} (wall), whole ${ms(figure.wallMs)}: ${(own / floor.wallMs).toFixed(2)} × floor`,
    bar: "≤ 0.5 × floor",
    met: own <= floor.wallMs * 0.5,
  };
}

function newRepository(root: string, files: number, env: Record<string, string>): string {
  for (let n = 0; n < files; n++) {
    const folder = join(root, `d${n % 200}`);
    if (n < 200) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `f${n}.txt`), `file ${n}\n`.repeat(20));
  }
  const git = (...args: string[]) => execFileSync("git", args, { cwd: root, env, stdio: "ignore" });
  git("init", "-q", "-b", "main");
  git("add", "-A");
  git("commit", "-qm", "first");
  return root;
}

function commit(cwd: string, name: string, env: Record<string, string>): void {
  writeFileSync(join(cwd, name), name);
  execFileSync("git", ["add", "-A"], { cwd, env });
  execFileSync("git", ["commit", "-qm", name], { cwd, env });
}
