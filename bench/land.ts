import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../src/clock.js";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { write } from "../src/db/write.js";
import { execProgram } from "../src/exec.js";
import { addTask } from "../src/tasks/add.js";
import { closeTask } from "../src/tasks/lifecycle.js";
import { taskRow } from "../src/tasks/task.js";
import { initWorkstream } from "../src/workstreams/workstream.js";
import { type Cost, type Figure, inFolder, inTurns, timesFloor } from "./measure.js";
import { costOfMu, costOfScript } from "./stage.js";

const TASKS = 10;
const FILES = 500;
const ROUNDS = 5;
const ONE_BAR = 3;

/**
 * One task to main with the check `true`, beside the same git commands by hand and an empty Node process; and ten
 * independent tasks, beside ten times `git rebase` and a fast-forward.
 */
export async function land(): Promise<Figure[]> {
  return inFolder(async (given) => {
    const folder = realpathSync(given);
    let round = 0;
    const on = (tasks: number, work: (yard: Yard) => Cost | Promise<Cost>) => () =>
      onYard(join(folder, `${round++}`), tasks, work);
    const one = await inTurns(ROUNDS, { floor: on(1, replayByHand), land: on(1, byMu) });
    const ten = await inTurns(ROUNDS, { floor: on(TASKS, rebaseByHand), land: on(TASKS, byMu) });
    return [
      timesFloor("land of one task, check = true", one.floor, one.land, ONE_BAR),
      timesFloor(`land of ${TASKS} independent tasks, check = true`, ten.floor, ten.land, 1.5),
    ];
  });
}

interface Yard {
  root: string;
  spaces: string[];
  env: Record<string, string>;
}

/** A repository with a commit in each of so many worktrees, and one more on main. */
async function onYard(folder: string, tasks: number, work: (yard: Yard) => Cost | Promise<Cost>): Promise<Cost> {
  const root = join(folder, "project");
  mkdirSync(join(root, "src"), { recursive: true });
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
    LANG: "C.UTF-8",
    XDG_CACHE_HOME: join(folder, "..", "cache"),
    GIT_CONFIG_NOSYSTEM: "1",
    MU_STATE_DIR: join(folder, "state"),
    MU_DB_PATH: join(folder, "state", "mu.db"),
  };
  const git = async (cwd: string, ...args: string[]) => {
    const { code, stdout, stderr } = await execProgram("git", args, { cwd, env });
    if (code !== 0) throw new Error(`git ${args.join(" ")}: ${stderr}`);
    return stdout.trim();
  };
  await git(root, "init", "-q", "-b", "main");
  await git(root, "config", "user.name", "ann");
  await git(root, "config", "user.email", "ann@example.org");
  for (let n = 0; n < FILES; n++) writeFileSync(join(root, "src", `file-${n}.txt`), `${n}\n`.repeat(50));
  await git(root, "add", "-A");
  await git(root, "commit", "-qm", "first");
  const spaces = Array.from({ length: tasks }, (_, n) => join(folder, `space-${n}`));
  for (const [n, space] of spaces.entries()) {
    await git(root, "worktree", "add", "-q", "--detach", space);
    writeFileSync(join(space, "src", `file-${n}.txt`), "changed\n");
    await git(space, "commit", "-qam", `work ${n}`);
  }
  writeFileSync(join(root, "src", "main.txt"), "main\n");
  await git(root, "add", "-A");
  await git(root, "commit", "-qm", "main moves on");
  return work({ root, spaces, env });
}

/** What any program has to do: replay the commit, check it out for the check, move the branch and its files. */
function replayByHand({ root, spaces: [space = ""], env }: Yard): Cost {
  const scratch = `${root}-scratch`;
  const script = `
    "$NODE" -e 0; cd '${root}'
    work=$(git -C '${space}' rev-parse HEAD); main=$(git rev-parse main)
    tree=$(git merge-tree --write-tree $main $work)
    commit=$(git log -1 --format=%B $work | git commit-tree -p $main $tree)
    git worktree add -q --detach '${scratch}' $commit; (cd '${scratch}'; sh -c true)
    git read-tree -m -u $main $commit; git update-ref refs/heads/main $commit $main
    git worktree remove --force '${scratch}'`;
  return costOfScript(script, env);
}

function rebaseByHand({ root, spaces, env }: Yard): Cost {
  const steps = spaces.map((space) => {
    return `git -C '${space}' rebase -q main; git -C '${root}' merge -q --ff-only "$(git -C '${space}' rev-parse HEAD)"`;
  });
  return costOfScript(steps.join("; "), env);
}

async function byMu({ root, spaces, env }: Yard): Promise<Cost> {
  mkdirSync(env.MU_STATE_DIR ?? "");
  const store = await openSqlite(env.MU_DB_PATH ?? "", { missing: "create" });
  const context = { store, clock: systemClock, actor: "bench" };
  await initWorkstream(context, "w", { root });
  for (const [n, space] of spaces.entries()) {
    const task = { workstream: "w", name: `task-${n}` };
    await addTask(context, "w", { name: task.name, title: task.name });
    await closeTask(context, task, { person: "ann" });
    const [to = "", from = ""] = await commitsOf(space, env);
    const columns = { work_agent: `a-${n}`, work_root: root, work_from: from, work_to: to };
    await write(context, { op: "test", scope: "w", subject: task.name }, async (tx) => {
      await tx.patch("tasks", (await taskRow(tx.db, task)).id, columns);
    });
  }
  await store.close();
  return costOfMu(["land", "--all", "--check", "true", "-w", "w"], env);
}

async function commitsOf(space: string, env: Record<string, string>): Promise<string[]> {
  const { stdout } = await execProgram("git", ["rev-parse", "HEAD", "HEAD^"], { cwd: space, env });
  return stdout.split("\n");
}
