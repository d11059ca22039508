import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../src/clock.js";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { execProgram } from "../src/exec.js";
import { createWorkspace } from "../src/workspaces/create.js";
import { initWorkstream } from "../src/workstreams/workstream.js";
import { costOfNode, costOfScript, type Figure, inFolder, inTurns, MU, ms, shown } from "./measure.js";

const ROUNDS = 7;
const WORKSPACES = 12;
const FILES = 5_000;
/** Beside the floor itself. */
const PLUS_MS = 100;

/** The radar over 12 workspaces, half of them with uncommitted work, beside snapshots and merges of all by hand. */
export async function conflicts(): Promise<Figure[]> {
  return inFolder(async (folder) => {
    const { env, root, paths } = await projectOf(folder);
    const args = [MU, "workspace", "conflicts", "-w", "w", "--json"];
    const floor = byHand(folder, root, paths);
    costOfNode(args, env);
    const costs = await inTurns(ROUNDS, {
      floor: () => costOfScript(floor, env),
      radar: () => costOfNode(args, env),
    });
    const share = (costs.radar.cpuMs - PLUS_MS) / costs.floor.cpuMs;
    return [
      {
        what: `\`mu workspace conflicts\`, ${WORKSPACES} workspaces, ${FILES.toLocaleString("en")} files`,
        floor: shown(costs.floor),
        figure: `${shown(costs.radar)}: ${(costs.radar.cpuMs / costs.floor.cpuMs).toFixed(2)} × floor`,
        bar: `≤ 1 × floor + ${ms(PLUS_MS)}`,
        met: share <= 1,
      },
    ];
  });
}

async function projectOf(folder: string) {
  const root = join(folder, "project");
  const env = {
    MU_DB_PATH: join(folder, "mu.db"),
    MU_STATE_DIR: join(folder, "state"),
    XDG_CACHE_HOME: join(folder, "cache"),
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
  };
  const git = (cwd: string, ...args: string[]) =>
    execFileSync("git", ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", ...args], {
      cwd,
      env: { ...process.env, ...env },
    });
  const fileOf = (n: number) => `src/part-${n % 50}/deep/file-${n}.txt`;
  const write = (cwd: string, path: string, text: string) => {
    mkdirSync(join(cwd, path, ".."), { recursive: true });
    writeFileSync(join(cwd, path), text);
  };
  for (let n = 0; n < FILES; n++) write(root, fileOf(n), `file ${n}\n${"a line of text\n".repeat(40)}`);
  git(root, "init", "-q", "-b", "main");
  git(root, "config", "gc.auto", "0");
  git(root, "add", "-A");
  git(root, "commit", "-qm", "first");
  git(root, "repack", "-qad");

  const store = await openSqlite(env.MU_DB_PATH, { missing: "create" });
  const crew = {
    context: { store, clock: systemClock, actor: "ann" },
    tmux: {} as never,
    exec: execProgram,
    stateDir: env.MU_STATE_DIR,
    env: { ...process.env, ...env },
    databaseEnv: {},
    mu: ["mu"],
  };
  await initWorkstream(crew.context, "w", { root });
  const paths: string[] = [];
  for (let n = 0; n < WORKSPACES; n++) {
    const { path } = await createWorkspace(crew, { workstream: "w", name: `agent-${n}` }, { projectRoot: root });
    paths.push(path);
    // Everybody has 20 files of its own, and some that it shares with the next one.
    for (let m = 0; m < 22; m++) write(path, fileOf(n * 20 + m), `changed by ${n}\n`);
    git(path, "add", "-A");
    git(path, "commit", "-qm", "work");
    if (n % 2 === 1) continue;
    for (let m = 0; m < 20; m++) write(path, fileOf(1_000 + n * 20 + m), `changed by ${n}\n`);
    write(path, `new/by-${n}.txt`, "new\n");
  }
  await store.close();
  return { env, root, paths };
}

/** What somebody would do in a shell: a snapshot of each through a copy of its index, and a merge of every pair. */
function byHand(folder: string, root: string, paths: readonly string[]): string {
  const index = join(folder, "index");
  const snapshots = paths.map(
    (path, n) => `cd '${path}'; cp "$(git rev-parse --git-path index)" '${index}'
      GIT_INDEX_FILE='${index}' git add -A
      s[${n}]=$(git -c user.name=a -c user.email=a@b commit-tree -p HEAD -m s "$(GIT_INDEX_FILE='${index}' git write-tree)")`,
  );
  return `s=(); ${snapshots.join("\n")}
    cd '${root}'; s[${paths.length}]=$(git rev-parse main)
    for ((a = 0; a < ${paths.length}; a++)); do for ((b = a + 1; b <= ${paths.length}; b++)); do
      git merge-tree --write-tree --name-only "\${s[a]}" "\${s[b]}" || true
    done; done`;
}
