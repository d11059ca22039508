import { join } from "node:path";
import type { Crew } from "../../src/agents/crew.js";
import { newGroup } from "../../src/db/context.js";
import { write } from "../../src/db/write.js";
import { execProgram } from "../../src/exec.js";
import { type LandOptions, landTasks } from "../../src/landing/land.js";
import type { Landing } from "../../src/landing/outcome.js";
import { addTask } from "../../src/tasks/add.js";
import { closeTask } from "../../src/tasks/lifecycle.js";
import { getTask, type Task, taskRow } from "../../src/tasks/task.js";
import { createTmux } from "../../src/tmux/tmux.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { contextOn, openTestStore } from "../support/database.js";
import { newRepository, type Repository } from "../support/repository.js";

/** A repository with a workstream `shop`, where work is done in workspaces and lands. */
export interface Yard {
  repo: Repository;
  crew: Crew;
  /** The same crew as another process has it: its own connection and group. */
  another(): Promise<Crew>;
  /** A checkout of an agent's own, where main is now. */
  workspace(agent: string): Promise<string>;
  /** A finished task: one commit of `files` in the agent's workspace, from where the workspace is. */
  finished(task: string, files: Files, options?: FinishedOptions): Promise<void>;
  /** Closes a task with the range of commits that it has. */
  closeWith(task: string, range: { agent: string; from: string; to: string }): Promise<void>;
  land(tasks?: readonly string[], options?: LandOptions): Promise<Landing>;
  task(name: string): Promise<Task>;
  notes(name: string): Promise<{ author: string; kind: string; text: string }[]>;
  /** The subjects of main's commits behind the first one, oldest first. */
  subjects(): Promise<string[]>;
  main(): Promise<string>;
  /** Closes the database; the folder stays. */
  close(): Promise<void>;
  end(): Promise<void>;
}

type Files = Readonly<Record<string, string | null>>;

export interface FinishedOptions {
  agent?: string;
  blockedBy?: string[];
}

export const WORKSTREAM = "shop";

export async function openYard(files?: Record<string, string>): Promise<Yard> {
  const repo = await newRepository(files ?? { "README.md": "hello\n", "a.txt": "one\ntwo\nthree\n" });
  const yard = await reopenYard(repo);
  await initWorkstream(yard.crew.context, WORKSTREAM, { root: repo.root });
  return yard;
}

async function reopenYard(repo: Repository): Promise<Yard> {
  const database = join(repo.dir, "state", "mu.db");
  const stores: { close(): Promise<void> }[] = [];
  const another = async (): Promise<Crew> => {
    const store = await openTestStore(database);
    stores.push(store);
    return crewOn(repo, { ...contextOn(store), group: newGroup() });
  };
  const crew = await another();
  const { db } = crew.context.store;
  const ref = (name: string) => ({ workstream: WORKSTREAM, name });

  const spaces = new Map<string, string>();
  const workspace: Yard["workspace"] = async (agent) => {
    const known = spaces.get(agent);
    if (known !== undefined) return known;
    const path = join(repo.dir, "state", "workspaces", WORKSTREAM, agent);
    await repo.git("worktree", "add", "-q", "--detach", path, "main");
    spaces.set(agent, path);
    return path;
  };
  const closeWith: Yard["closeWith"] = async (task, { agent, from, to }) => {
    await closeTask(crew.context, ref(task), { person: "ann" });
    await write(crew.context, { op: "test", scope: WORKSTREAM, subject: task }, async (tx) => {
      const row = await taskRow(tx.db, ref(task));
      await tx.patch("tasks", row.id, { work_agent: agent, work_root: repo.root, work_from: from, work_to: to });
    });
  };
  const close = async () => {
    for (const store of stores) await store.close();
  };
  return {
    repo,
    crew,
    another,
    workspace,
    closeWith,
    async finished(task, changed, { agent = task, blockedBy } = {}) {
      const path = await workspace(agent);
      const from = await repo.gitIn(path, "rev-parse", "HEAD");
      const to = await repo.commit(changed, `work of ${task}`, path);
      await addTask(crew.context, WORKSTREAM, { name: task, title: task, ...(blockedBy && { blockedBy }) });
      await closeWith(task, { agent, from, to });
    },
    land: (tasks, options) => landTasks(crew, { workstream: WORKSTREAM, tasks }, options),
    task: (name) => getTask(db, ref(name)),
    async notes(name) {
      const { id } = await taskRow(db, ref(name));
      return db.selectFrom("task_notes").select(["author", "kind", "text"]).where("task_id", "=", id).execute();
    },
    async subjects() {
      const out = await repo.git("log", "--reverse", "--format=%s", "main");
      return out.split("\n").slice(1);
    },
    main: () => repo.git("rev-parse", "main"),
    close,
    async end() {
      await close();
      repo.end();
    },
  };
}

/** A crew around the repository: its programs get the repository's environment, and no tmux is started. */
export function crewOn(repo: Repository, context: Crew["context"]): Crew {
  const stateDir = join(repo.dir, "state");
  return {
    context,
    tmux: createTmux({ exec: execProgram, env: { ...repo.env, MU_TMUX_SOCKET: join(repo.dir, "tmux") } }),
    exec: execProgram,
    stateDir,
    env: repo.env,
    databaseEnv: { MU_DB_PATH: join(stateDir, "mu.db"), MU_STATE_DIR: stateDir },
  };
}
