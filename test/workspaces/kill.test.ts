import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Crew } from "../../src/agents/crew.js";
import { closeAgent } from "../../src/crew/close.js";
import { write } from "../../src/db/write.js";
import { verifyChains } from "../../src/journal/audit.js";
import { compareTables } from "../../src/journal/replay.js";
import type { AgentRef } from "../../src/names.js";
import { addTask } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import { taskRow } from "../../src/tasks/task.js";
import { createWorkspace } from "../../src/workspaces/create.js";
import { freeWorkspace, settleWorkspaces } from "../../src/workspaces/free.js";
import { toWorkspace, workspaceRows } from "../../src/workspaces/workspace.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { bundleChild } from "../support/child.js";
import { temporaryFolder } from "../support/database.js";
import { fsck, type Killing, killAtEachStep, lostOf, openScene, type Scene, takeManifest } from "../support/faults.js";
import { newRepository } from "../support/repository.js";

// Everything is written many times and nothing has to outlive the machine: the memory's own file system is quicker.
if (existsSync("/dev/shm")) process.env["TMPDIR"] = "/dev/shm";
const UNSYNCED = { GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "core.fsync", GIT_CONFIG_VALUE_0: "none" };

const folder = temporaryFolder();
let program = "";
beforeAll(async () => {
  program = await bundleChild(folder.path, "fault-child");
});
afterAll(folder.remove);

/**
 * Three workspaces: `ahead` has two commits and lacks one of main, `dirty` has a commit, staged, changed and new files,
 * `clean` has nothing of its own. Their agents are people; `ahead` works on `late`, begun after its first commit. To
 * destroy them all takes many steps, so that there is only `dirty` then.
 */
async function newScene(act: string): Promise<Scene> {
  const repository = await newRepository({ "README.md": "hello\n", "a.txt": "a\n", "b.txt": "b\n" });
  const stateDir = join(repository.dir, "state");
  mkdirSync(stateDir);
  const env = {
    ...repository.env,
    ...UNSYNCED,
    MU_TMUX_SOCKET: join(repository.dir, "tmux"),
    XDG_CACHE_HOME: repository.dir,
  };
  const scene = { program, repository, stateDir, env };
  const { crew, end } = await openScene(scene);
  await initWorkstream(crew.context, "demo", { root: repository.root });
  const make = (name: string) => createWorkspace(crew, { workstream: "demo", name }, { projectRoot: repository.root });
  const [ahead, dirty] = [await make("ahead"), await make("dirty"), await make("clean")];
  for (const name of ["early", "late", "other"]) await addTask(crew.context, "demo", { name, title: name });
  const one = await repository.commit({ "one.txt": "1" }, "one", ahead.path);
  await repository.commit({ "two.txt": "2" }, "two", ahead.path);
  await repository.commit({ "own.txt": "own" }, "own", dirty.path);
  repository.write({ "a.txt": "staged\n" }, dirty.path);
  await repository.gitIn(dirty.path, "add", "a.txt");
  repository.write({ "a.txt": "changed again\n", "b.txt": null, "new/file.txt": "new\n" }, dirty.path);
  await claimTask(crew.context, { workstream: "demo", name: "late" }, { person: "clean" });
  await claimTask(crew.context, { workstream: "demo", name: "other" }, { person: "dirty" });
  await write(crew.context, { op: "task.claim", scope: "demo", subject: "demo/late" }, async (tx) => {
    const task = await taskRow(tx.db, { workstream: "demo", name: "late" });
    return tx.patch("tasks", task.id, { work_agent: "ahead", work_root: repository.root, work_from: one });
  });
  await repository.commit({ "landed.txt": "landed" }, "landed");
  if (act === "destroy") for (const name of ["ahead", "clean"]) await closeAndFree(crew, { workstream: "demo", name });
  await end();
  return scene;
}

async function closeAndFree(crew: Crew, ref: AgentRef): Promise<void> {
  await freeWorkspace(crew, ref);
  if (ref.name !== "ahead") await closeAgent(crew, ref);
}

const checkouts = ({ stateDir }: Scene) =>
  ["ahead", "dirty", "clean"].map((name) => join(stateDir, "workspaces", "demo", name));

/** What must be so when the act has been run to its end. */
const FINISHED: Readonly<Record<string, (crew: Crew, scene: Scene) => Promise<void>>> = {
  async create(crew, { repository }) {
    const row = await rowOf(crew, "fresh");
    expect(row).toMatchObject({ state: "ready", baseRef: await repository.git("rev-parse", "main") });
    expect(await repository.gitIn(row?.path ?? "", "status", "--porcelain")).toBe("");
  },
  async refresh(crew, { repository }) {
    const row = await rowOf(crew, "ahead");
    const main = await repository.git("rev-parse", "main");
    expect(row?.baseRef).toBe(main);
    const commits = await repository.gitIn(row?.path ?? "", "log", "--format=%H %s", "--reverse", "main..HEAD");
    expect(commits.split("\n").map((line) => line.split(" ")[1])).toEqual(["one", "two"]);
    const { work_from } = await crew.context.store.db
      .selectFrom("tasks")
      .select("work_from")
      .where("name", "=", "late")
      .executeTakeFirstOrThrow();
    expect(work_from).toBe(commits.split(" ")[0]);
    expect(await repository.gitIn(row?.path ?? "", "status", "--porcelain")).toBe("");
  },
  async recreate(crew, { repository }) {
    const row = await rowOf(crew, "dirty");
    expect(row).toMatchObject({ state: "ready", baseRef: await repository.git("rev-parse", "main") });
    expect(await repository.gitIn(row?.path ?? "", "status", "--porcelain")).toBe("");
    expect(await salvages(crew)).toContain("dirty");
  },
  async free(crew, scene) {
    expect(await rowOf(crew, "dirty")).toBeUndefined();
    expect(existsSync(checkouts(scene)[1] ?? "")).toBe(false);
    expect(await salvages(crew)).toContain("dirty");
  },
  async close(crew) {
    expect(await rowOf(crew, "dirty")).toMatchObject({ state: "ready" });
    expect(await salvages(crew)).toContain("dirty");
  },
  async "close clean"(crew, scene) {
    expect(await rowOf(crew, "clean")).toBeUndefined();
    expect(existsSync(checkouts(scene)[2] ?? "")).toBe(false);
  },
  async "close pane"(crew, scene) {
    expect(await rowOf(crew, "ahead")).toBeUndefined();
    expect(existsSync(checkouts(scene)[0] ?? "")).toBe(false);
    expect(await salvages(crew)).toContain("ahead");
    expect(await crew.tmux.listPanes()).toEqual([]);
  },
  async destroy(crew, scene) {
    expect(await workspaceRows(crew.context.store.db)).toEqual([]);
    for (const path of checkouts(scene)) expect(existsSync(path)).toBe(false);
    expect(await crew.context.store.db.selectFrom("workstreams").selectAll().execute()).toEqual([]);
  },
};

async function rowOf(crew: Crew, agent: string) {
  const row = (await workspaceRows(crew.context.store.db, "demo")).find((one) => one.agent === agent);
  return row && toWorkspace(row);
}

async function salvages(crew: Crew): Promise<string[]> {
  return (await crew.context.store.db.selectFrom("salvages").select("agent").execute()).map(({ agent }) => agent);
}

const CASES: readonly (readonly [act: string, killing: Killing])[] = [
  ["create", "before"],
  ["create", "during"],
  ["refresh", "before"],
  ["refresh", "during"],
  ["recreate", "before"],
  ["recreate", "during"],
  ["free", "before"],
  ["free", "during"],
  ["close", "before"],
  ["close clean", "before"],
  ["close pane", "before"],
  ["destroy", "before"],
];

describe.concurrent("a kill loses no commit and no byte, and the same verb finishes", { timeout: 300_000 }, () => {
  it.each(CASES)("%s, killed %s each step", async (act, killing) => {
    const scene = await newScene(act);
    const { repository } = scene;
    const manifest = await takeManifest(
      repository,
      checkouts(scene).filter((path) => existsSync(path)),
    );
    expect(manifest.files.length).toBeGreaterThanOrEqual(3);
    const steps = await killAtEachStep(scene, act, killing, {
      async afterKill(crew, step) {
        if (killing === "before") expect(await lostOf(repository, manifest), `step ${step}`).toEqual([]);
        if (step % 3 === 0) await settleWorkspaces(crew);
      },
      async afterAll(crew, step) {
        expect(await lostOf(repository, manifest), `step ${step}`).toEqual([]);
        expect(await fsck(repository), `step ${step}`).toEqual([]);
        await FINISHED[act]?.(crew, scene);
        const rows = await workspaceRows(crew.context.store.db);
        expect(rows.filter((row) => row.state !== "ready")).toEqual([]);
        const holds = await crew.context.store.db.selectFrom("workspace_holds").selectAll().execute();
        expect(holds, `step ${step}`).toEqual([]);
        expect((await verifyChains(crew.context.store.db)).filter((chain) => !chain.ok)).toEqual([]);
        expect(await compareTables(crew.context.store.db)).toEqual([]);
      },
    });
    expect(steps).toBeGreaterThan(5);
    repository.end();
  });
});
