import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { closeAgent, reapIdle } from "../../src/crew/close.js";
import { ensureAgent } from "../../src/crew/ensure.js";
import { reconcile } from "../../src/crew/reconcile.js";
import { planRecovery, recover } from "../../src/crew/recover.js";
import { renameAgent } from "../../src/crew/rename.js";
import { restartAgent } from "../../src/crew/restart.js";
import { spawnAgent } from "../../src/crew/spawn.js";
import { addTask } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import { workBeforeClaim } from "../../src/work/work.js";
import { createWorkspace } from "../../src/workspaces/create.js";
import { listWorkspaces } from "../../src/workspaces/inspect.js";
import { newWorkshop, type Workshop } from "../support/workshop.js";

const w1 = { workstream: "demo", name: "w1" };

let shop: Workshop;
beforeEach(async () => {
  shop = await newWorkshop();
});
afterEach(() => shop.end());

const wishes = () => ({ projectRoot: shop.repository.root });
const spawn = (command = "cat") =>
  spawnAgent(shop.crew, w1, { command, cwd: shop.repository.root, workspace: wishes() });
/** A pane that writes down where it is and what it knows. */
const tell = 'pwd > here; printf %s "$MU_WORKSPACE $MU_AGENT" > knows; exec cat';
const until = async (path: string) => {
  for (let tries = 0; tries < 200 && !existsSync(path); tries += 1) await shop.crew.context.clock.sleep(25);
};

it("an agent starts in a workspace of its own, and closing it saves and keeps its work", async () => {
  const spawned = await spawn(tell);
  expect(spawned.workspace).toMatchObject({ agent: "w1", reused: false, state: "ready" });
  const path = spawned.workspace?.path ?? "";
  await until(join(path, "knows"));
  expect(shop.repository.read("here", path).trim()).toBe(path);
  expect(shop.repository.read("knows", path)).toBe(`${path} w1`);
  const closed = await closeAgent(shop.crew, w1);
  expect(closed).toMatchObject({ killedPane: true, workspace: { freed: false, salvage: { files: 2, commits: 0 } } });
  expect(existsSync(path)).toBe(true);

  const again = await spawn();
  expect(again.workspace).toMatchObject({ path, reused: true });
  const discarded = await closeAgent(shop.crew, w1, { workspace: "discard" });
  expect(discarded.workspace).toMatchObject({ freed: true, salvage: { name: "demo/w1/1" } });
  expect(existsSync(path)).toBe(false);
});

it("recover starts a living agent again, once, in its workspace whose folder was deleted, with its task and commits", async () => {
  const path = (await spawn(tell)).workspace?.path ?? "";
  await until(join(path, "knows"));
  await shop.repository.commit({ "b.txt": "b" }, "work", path);
  await addTask(shop.crew.context, "demo", { title: "Build", name: "build" });
  await claimTask(shop.crew.context, { workstream: "demo", name: "build" }, { agent: "w1" });
  expect(await planRecovery(shop.crew)).toMatchObject([{ action: "keep" }]);
  rmSync(path, { recursive: true });
  expect(await planRecovery(shop.crew)).toMatchObject([
    {
      action: "fresh",
      process: "in its pane",
      tasks: ["build"],
      why: expect.stringMatching(/^its workspace folder is gone; /),
    },
  ]);
  const both = await Promise.all([recover(shop.crew), recover(shop.crew)]);
  expect(both.flat().filter(({ action }) => action === "fresh")).toMatchObject([{ tasks: ["build"] }]);
  expect(shop.repository.read("b.txt", path)).toBe("b");
  await until(join(path, "here"));
  expect(shop.repository.read("here", path).trim()).toBe(path);
  expect(await planRecovery(shop.crew)).toMatchObject([{ action: "keep", tasks: ["build"] }]);
});

it("closing frees a workspace in which everything is landed, also when it is closed again later", async () => {
  const { path } = await createWorkspace(shop.crew, w1, wishes());
  await spawn();
  await shop.repository.commit({ "b.txt": "b" }, "work", path);
  expect(await closeAgent(shop.crew, w1)).toMatchObject({ workspace: { freed: false, salvage: { commits: 1 } } });
  await shop.repository.git("merge", "-q", "--ff-only", await shop.repository.gitIn(path, "rev-parse", "HEAD"));
  expect(await closeAgent(shop.crew, w1)).toMatchObject({ changed: false, workspace: { freed: true, salvage: null } });
  expect(await listWorkspaces(shop.crew)).toEqual([]);
});

it("a spawn that fails takes its workspace back, and leaves one alone that was there before", async () => {
  await expect(spawn("exit 3")).rejects.toMatchObject({ code: "agent.died" });
  expect(await listWorkspaces(shop.crew)).toEqual([]);
  const missing = spawnAgent(shop.crew, w1, { command: "no-such-program", cwd: "/", workspace: wishes() });
  await expect(missing).rejects.toMatchObject({ code: "agent.command_not_found" });
  await createWorkspace(shop.crew, w1, wishes());
  await expect(spawn("exit 3")).rejects.toMatchObject({ code: "agent.died" });
  expect(await listWorkspaces(shop.crew)).toMatchObject([{ agent: "w1", state: "ready" }]);
  await spawn();
  await expect(spawn()).rejects.toMatchObject({ code: "agent.exists" });
});

it("a restart goes on in the workspace and makes its folder again, and a new name takes it along", async () => {
  const { workspace } = await spawn(tell);
  const path = workspace?.path ?? "";
  await until(join(path, "knows"));
  const own = await shop.repository.commit({ "b.txt": "b" }, "work", path);
  rmSync(path, { recursive: true });
  await restartAgent(shop.crew, w1);
  await until(join(path, "knows"));
  expect(await shop.repository.gitIn(path, "rev-parse", "HEAD")).toBe(own);
  const ensured = await ensureAgent(shop.crew, w1, { cwd: path });
  expect(ensured).toMatchObject({ reused: true, workspace: { path, reused: true } });

  const { db } = shop.crew.context.store;
  await addTask(shop.crew.context, "demo", { name: "build", title: "Build" });
  const work = await workBeforeClaim(shop.crew, db, w1, "build");
  await claimTask(shop.crew.context, { workstream: "demo", name: "build" }, { agent: "w1" }, { work });
  await renameAgent(shop.crew, w1, "w2");
  expect(await db.selectFrom("tasks").select(["work_agent", "work_from"]).execute()).toEqual([
    { work_agent: "w2", work_from: own },
  ]);
  expect(await listWorkspaces(shop.crew)).toMatchObject([{ agent: "w2", path }]);
  const second = await spawn();
  expect(second.workspace?.path).toBe(`${path}-2`);
  await expect(renameAgent(shop.crew, w1, "w3")).resolves.toMatchObject({ changed: true });
  await createWorkspace(shop.crew, w1, wishes());
  const taken = renameAgent(shop.crew, { ...w1, name: "w3" }, "w1");
  await expect(taken).rejects.toMatchObject({ code: "workspace.exists" });
});

it("a reaped agent's workspace stays, and one that is idle for long is freed with it when it is clean", async () => {
  const { agent, workspace } = await spawn();
  await addTask(shop.crew.context, "demo", { name: "build", title: "Build" });
  await claimTask(shop.crew.context, { workstream: "demo", name: "build" }, { agent: "w1" });
  await shop.crew.tmux.killPane(agent.pane ?? "");
  expect((await reconcile(shop.crew, "demo")).reaped).toMatchObject([{ agent: "w1", tasks: ["build"] }]);
  expect(await listWorkspaces(shop.crew)).toMatchObject([{ agent: "w1", path: workspace?.path, present: true }]);

  await spawn();
  await shop.crew.context.store.write((db) => db.updateTable("agent_status").set({ status: "idle" }).execute());
  const reaped = await reapIdle(shop.crew, "demo", { idleForMs: 0 });
  expect(reaped).toMatchObject([{ name: "w1", action: "closed", workspaceFreed: true }]);
});
