import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { destroyCrew, previewCrewDestroy } from "../../src/crew/workstream.js";
import { write } from "../../src/db/write.js";
import { Fault } from "../../src/errors.js";
import type { Exec } from "../../src/exec.js";
import { readLog } from "../../src/journal/log.js";
import { addTask } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import { openTask } from "../../src/tasks/lifecycle.js";
import { git } from "../../src/vcs/git/git.js";
import { createWorkspace } from "../../src/workspaces/create.js";
import { freeWorkspace, leaveWorkspace, settleWorkspaces } from "../../src/workspaces/free.js";
import { withHold } from "../../src/workspaces/hold.js";
import { listWorkspaces, workspaceCommits, workspaceDiff } from "../../src/workspaces/inspect.js";
import { moveRoot } from "../../src/workspaces/move-root.js";
import { findWorkspaceOrphans, removeWorkspaceOrphans } from "../../src/workspaces/orphans.js";
import { recreateWorkspace, reviveWorkspace } from "../../src/workspaces/recreate.js";
import { refreshAll, refreshWorkspace } from "../../src/workspaces/refresh.js";
import { restoreSalvage } from "../../src/workspaces/restore.js";
import {
  describeSaved,
  getSalvage,
  type ListedSalvage,
  listSalvages,
  type Salvage,
} from "../../src/workspaces/salvage.js";
import { workspaceRow } from "../../src/workspaces/workspace.js";
import { changeSetting } from "../../src/workstreams/workstream.js";
import { itOnce, onEachDialect } from "../support/database.js";
import { newRepository } from "../support/repository.js";
import { newWorkshop, type Workshop } from "../support/workshop.js";

const w1 = { workstream: "demo", name: "w1" };

onEachDialect("workspaces", (bench) => {
  let shop: Workshop;
  beforeEach(async () => {
    shop = await newWorkshop({ "README.md": "hello\n", "src/a.txt": "a\n" }, bench.context);
  });
  afterEach(() => shop.end());

  const make = (name = "w1") =>
    createWorkspace(shop.crew, { workstream: "demo", name }, { projectRoot: shop.repository.root });
  const fault = (act: Promise<unknown>) => act.catch((error: unknown) => error) as Promise<Fault>;
  const events = async () => {
    const rows = await bench.context.store.db.selectFrom("events").select("op").orderBy("id").execute();
    return rows.map(({ op }) => op);
  };

  it("that two make at once are one, and the other is told to look, not to change it", async () => {
    const ended = await Promise.allSettled([make(), make()]);
    expect(ended.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const lost = ended.flatMap((one) => (one.status === "rejected" ? [one.reason as Fault] : []));
    expect(lost).toMatchObject([{ code: "workspace.exists", details: { state: "creating" } }]);
    expect(lost[0]?.message).toMatch(/^Another process is creating the workspace of "w1" in demo: /);
    expect(lost[0]?.nextSteps.map(({ command }) => command)).toEqual(["mu workspace list -w demo"]);
  });

  it("are made once, for agents that need not be there, and listed with how they stand", async () => {
    const workspace = await make();
    const head = await shop.repository.git("rev-parse", "HEAD");
    expect(workspace).toMatchObject({ agent: "w1", backend: "git", branch: "main", baseRef: head, state: "ready" });
    expect(workspace.path).toBe(join(shop.crew.stateDir, "workspaces", "demo", "w1"));
    expect(shop.repository.read("src/a.txt", workspace.path)).toBe("a\n");
    await expect(make()).rejects.toMatchObject({ code: "workspace.exists", exitCode: 4 });

    expect((await fault(make())).nextSteps.map(({ command }) => command)).toContain("mu workspace refresh demo/w1");

    await shop.repository.commit({ "b.txt": "b" }, "work", workspace.path);
    shop.repository.write({ "c.txt": "c" }, workspace.path);
    await shop.repository.commit({ "d.txt": "d" }, "landed by somebody");
    await make("w2");
    const [first, second] = await listWorkspaces(shop.crew, "demo");
    expect(first).toMatchObject({ agent: "w1", behind: 1, ahead: 1, dirty: 1, present: true, problem: null });
    expect(second).toMatchObject({ agent: "w2", behind: 0, ahead: 0, dirty: 0, agentStatus: null });
    expect((await workspaceCommits(shop.crew, w1)).commits.map((commit) => commit.subject)).toEqual(["work"]);
    const { text } = await workspaceDiff(shop.crew, w1);
    expect(text).toContain("+++ b/b.txt");
    expect(text).toContain("+++ b/c.txt");
    expect(await events()).toEqual(["workstream.init", ...Array(4).fill("workspace.create")]);
  });

  itOnce("begin at the branch that their work lands on", async () => {
    const { repository, crew } = shop;
    await repository.git("checkout", "-qb", "release");
    const tip = await repository.commit({ "r.txt": "r" }, "release");
    await repository.git("checkout", "-q", "main");
    await changeSetting(crew.context, "demo", "branch", "release");
    expect(await make()).toMatchObject({ branch: "release", baseRef: tip });
    const wishes = { projectRoot: repository.root, from: "main" };
    const main = await repository.git("rev-parse", "main");
    expect(await createWorkspace(crew, { workstream: "demo", name: "w2" }, wishes)).toMatchObject({ baseRef: main });
    const { workspace } = await recreateWorkspace(crew, w1);
    expect(workspace).toMatchObject({ branch: "release", baseRef: tip });
  });

  itOnce("are refused where something lies, where a ref is none, and leave nothing behind then", async () => {
    const path = join(shop.crew.stateDir, "workspaces", "demo", "w1");
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "mine.txt"), "mine");
    await expect(make()).rejects.toMatchObject({ code: "workspace.path_not_empty", exitCode: 4 });
    const wishes = { projectRoot: shop.repository.root, from: "nowhere" };
    const failed = createWorkspace(shop.crew, { workstream: "demo", name: "w2" }, wishes);
    await expect(failed).rejects.toMatchObject({ code: "vcs.unknown_ref" });
    expect(await listWorkspaces(shop.crew)).toEqual([]);
    expect(await shop.repository.git("worktree", "list")).not.toContain("w2");
    const nobody = createWorkspace(shop.crew, { workstream: "none", name: "w2" }, wishes);
    await expect(nobody).rejects.toMatchObject({ code: "workstream.not_found" });
  });

  it("are freed after everything was saved, and all of it comes back", async () => {
    const { path } = await make();
    await shop.repository.commit({ "b.txt": "b" }, "work", path);
    shop.repository.write({ "new.txt": "new", "src/a.txt": "changed" }, path);
    const { salvage } = await freeWorkspace(shop.crew, w1);
    expect(salvage).toMatchObject({ name: "demo/w1/1", commits: 1, files: 2, reason: "workspace free" });
    expect(existsSync(path)).toBe(false);
    expect(await freeWorkspace(shop.crew, w1)).toMatchObject({ changed: false, salvage: null });
    expect(await listSalvages(shop.crew, "demo")).toMatchObject([{ name: "demo/w1/1", createdAt: expect.any(String) }]);

    const found = await getSalvage(shop.crew, "w1/1", "demo");
    const restored = await restoreSalvage(shop.crew, found, { workstream: "demo", name: "w2" });
    expect(restored).toMatchObject({ created: true, saved: null, workspace: { agent: "w2" } });
    expect(shop.repository.read("new.txt", restored.workspace.path)).toBe("new");
    expect(shop.repository.read("src/a.txt", restored.workspace.path)).toBe("changed");
    expect((await workspaceCommits(shop.crew, { ...w1, name: "w2" })).commits).toMatchObject([{ subject: "work" }]);
    const again = restoreSalvage(shop.crew, found, { workstream: "demo", name: "w2" });
    await expect(again).rejects.toMatchObject({ code: "workspace.dirty", exitCode: 4 });
  });

  itOnce("come back whole also after a restore that was killed among its files, which is run again", async () => {
    const { repository, crew } = shop;
    const { path } = await make();
    const own = await repository.commit({ "b.txt": "b" }, "work", path);
    repository.write({ "new.txt": "new", "src/a.txt": "changed" }, path);
    await freeWorkspace(crew, w1);
    await make();
    await repository.commit({ "c.txt": "c" }, "other work", path);
    const found = await getSalvage(crew, "demo/w1/1");
    const dies: Exec = async (program, args, options) => {
      const result = await crew.exec(program, args, options);
      if (!args.includes("read-tree")) return result;
      writeFileSync(await repository.gitIn(path, "rev-parse", "--git-path", "index.lock"), "half");
      throw new Error("killed here");
    };
    await expect(restoreSalvage({ ...crew, exec: dies }, found, w1)).rejects.toThrow("killed here");
    expect(await restoreSalvage(crew, found, w1)).toMatchObject({ created: false, saved: null });
    expect(await repository.gitIn(path, "rev-parse", "HEAD")).toBe(own);
    expect([repository.read("new.txt", path), repository.read("src/a.txt", path)]).toEqual(["new", "changed"]);
    expect((await listSalvages(crew, "demo")).map(({ name }) => name)).toEqual(["demo/w1/2", "demo/w1/1"]);
    const again = restoreSalvage(crew, found, w1);
    await expect(again).rejects.toMatchObject({ code: "workspace.dirty" });
  });

  itOnce("go along with a repository that was moved, and not with another one", async () => {
    const { repository, crew } = shop;
    const { path } = await make();
    const own = await repository.commit({ "b.txt": "b" }, "work", path);
    const saved = (await leaveWorkspace(crew, w1, "keep"))?.salvage;
    const [moved, other] = [join(repository.dir, "moved"), await newRepository()];
    renameSync(repository.root, moved);
    expect(await leaveWorkspace(crew, w1, "keep")).toMatchObject({ freed: false, problem: expect.any(String) });
    await expect(moveRoot(crew, "demo", other.root)).rejects.toMatchObject({ code: "workstream.other_repository" });
    other.end();
    expect(await moveRoot(crew, "demo", moved)).toMatchObject({ root: moved });
    expect(await listWorkspaces(crew, "demo")).toMatchObject([{ root: moved, head: own, ahead: 1, problem: null }]);
    expect(await repository.gitIn(path, "status", "--porcelain")).toBe("");
    expect(await freeWorkspace(crew, w1)).toMatchObject({ salvage: { name: saved?.name, root: moved } });
    await restoreSalvage(crew, await getSalvage(crew, saved?.name ?? ""), w1);
    expect(repository.read("b.txt", path)).toBe("b");
    renameSync(moved, repository.root);
  });

  itOnce("run a command before their checkout, and no hooks if a setting says so", async () => {
    const { repository, crew } = shop;
    const hook = join(repository.root, ".git/hooks/post-checkout");
    mkdirSync(dirname(hook), { recursive: true });
    writeFileSync(hook, "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    await changeSetting(
      crew.context,
      "demo",
      "setup.beforeCheckout",
      "ls -A > ../before && echo $MU_AGENT >> ../before",
    );
    await expect(make()).rejects.toMatchObject({ code: "vcs.hook_failed" });
    await changeSetting(crew.context, "demo", "setup.hooks", "off");
    const { path } = await make();
    expect(readFileSync(join(dirname(path), "before"), "utf8")).toBe(".git\nw1\n");
    expect(repository.read("src/a.txt", path)).toBe("a\n");
    expect(await repository.gitIn(path, "status", "--porcelain")).toBe("");
  });

  itOnce("save their own ignored files when they go, and name those that are too large", async () => {
    const { repository, crew } = shop;
    await repository.commit({ ".gitignore": ".env\n*.db\nnotes/\nnode_modules/\nshared/\n" });
    repository.write({ ".env": "A=1\n", "shared/x": "theirs\n", "same.db": "same" });
    await changeSetting(crew.context, "demo", "setup.copy", ".env,same.db");
    await changeSetting(crew.context, "demo", "setup.link", "shared");
    const { path } = await make();
    const refresh = () => refreshWorkspace(crew, w1);
    expect((await refresh()).salvage).toBeNull();
    const big = "x".repeat(11 * 1024 * 1024);
    const own = { ".env": "A=2\n", "notes/deep/todo.md": "todo\n", "node_modules/m/a.db": "cache", "big.db": big };
    repository.write(own, path);
    expect((await refresh()).salvage).toBeNull();
    const { salvage } = await freeWorkspace(crew, w1);
    expect(salvage).toMatchObject({ commits: 0, files: 0, ignored: 2, leftOut: ["big.db"] });
    const listed = (await listSalvages(crew, "demo"))[0];
    expect(listed).toEqual(salvage);
    expect(await git.describe(crew, repository.root, salvage?.place ?? "")).toMatch(
      /Ignored:\n {2}\.env\n {2}notes\/deep\/todo\.md\n\nIgnored and too large to save: big\.db/,
    );
    const read = (name: string) => repository.read(name, path);
    expect((await restoreSalvage(crew, listed as ListedSalvage, w1)).created).toBe(true);
    expect([read(".env"), read("notes/deep/todo.md"), read("shared/x")]).toEqual(["A=2\n", "todo\n", "theirs\n"]);
    expect(repository.read(".env") + repository.read("shared/x")).toBe("A=1\ntheirs\n");
    expect(existsSync(join(path, "node_modules"))).toBe(false);
    await changeSetting(crew.context, "demo", "caches", "notes,.e*");
    repository.write({ "node_modules/m/a.db": "mine" }, path);
    expect((await freeWorkspace(crew, w1)).salvage).toMatchObject({ ignored: 1, leftOut: [] });
  });

  itOnce("say that a save holds only the commits of a submodule", async () => {
    const { repository, crew } = shop;
    const library = await newRepository({ "lib.txt": "1\n" });
    const allowed = ["-c", "protocol.file.allow=always", "submodule", "--quiet"];
    await repository.git(...allowed, "add", library.root, "lib");
    await repository.git("commit", "-qm", "library");
    const { path } = await make();
    await repository.gitIn(path, ...allowed, "update", "--init");
    const sub = join(path, "lib");
    await repository.gitIn(sub, "checkout", "-qb", "idea");
    await repository.commit({ "idea.txt": "i" }, "idea", sub);
    await repository.gitIn(sub, "checkout", "-q", "--detach", "main");
    const { salvage } = await freeWorkspace(crew, w1);
    library.end();
    expect(salvage).toMatchObject({ commits: 0, files: 0, nested: 1 });
    expect(describeSaved(salvage as Salvage)).toBe("1 nested checkout, as demo/w1/1");
    const [entry] = await readLog(bench.context.store.db, { subject: "demo/w1/1" });
    expect(entry?.text).toBe("saved 1 nested checkout as demo/w1/1");
  });

  itOnce("save the same work once, and changed work again", async () => {
    const { path } = await make();
    shop.repository.write({ "new.txt": "new" }, path);
    expect((await leaveWorkspace(shop.crew, w1, "keep"))?.salvage?.name).toBe("demo/w1/1");
    expect((await leaveWorkspace(shop.crew, w1, "keep"))?.salvage?.name).toBe("demo/w1/1");
    shop.repository.write({ "new.txt": "newer" }, path);
    expect(await leaveWorkspace(shop.crew, w1, "keep")).toMatchObject({ freed: false, salvage: { name: "demo/w1/2" } });
    expect(await listSalvages(shop.crew)).toHaveLength(2);
    expect(await leaveWorkspace(shop.crew, w1, "discard")).toMatchObject({ freed: true, salvage: { n: 2 } });
    expect(existsSync(path)).toBe(false);
  });

  itOnce(
    "are freed when they are left and all their commits are of tasks that landed, under whatever name",
    async () => {
      const { path, baseRef } = await make();
      const own = await shop.repository.commit({ "b.txt": "b" }, "work", path);
      await shop.repository.commit({ "c.txt": "c" }, "other");
      await addTask(bench.context, "demo", { name: "build", title: "Build" });
      expect(await leaveWorkspace(shop.crew, w1, "keep")).toMatchObject({ freed: false });
      await shop.repository.git("cherry-pick", own);
      const landed = await shop.repository.git("rev-parse", "main");
      const work = { work_root: shop.repository.root, work_from: baseRef, work_to: own };
      await bench.context.store.write((db) =>
        db
          .updateTable("tasks")
          .set({ status: "CLOSED", level: "landed", landed_commit: landed, ...work })
          .execute(),
      );
      const more = await shop.repository.commit({ "d.txt": "d" }, "more", path);
      expect(await leaveWorkspace(shop.crew, w1, "keep")).toMatchObject({ freed: false });
      await shop.repository.gitIn(path, "reset", "-q", "--hard", `${more}^`);
      expect(await leaveWorkspace(shop.crew, w1, "keep")).toMatchObject({ freed: true });
    },
  );

  itOnce("tell of a save that nobody wrote down", async () => {
    const { path } = await make();
    shop.repository.write({ "new.txt": "new" }, path);
    await leaveWorkspace(shop.crew, w1, "keep");
    await shop.crew.context.store.write((db) => db.deleteFrom("salvages").execute());
    expect(await listSalvages(shop.crew, "demo")).toMatchObject([{ name: "demo/w1/1", reason: null, commits: null }]);
    await leaveWorkspace(shop.crew, w1, "keep");
    expect(await listSalvages(shop.crew, "demo")).toMatchObject([{ name: "demo/w1/1", reason: "agent close" }]);
  });

  itOnce("are recreated with their work saved, also after somebody freed them", async () => {
    const { path, baseRef } = await make();
    shop.repository.write({ "new.txt": "new" }, path);
    const tip = await shop.repository.commit({ "d.txt": "d" }, "landed");
    const made = await recreateWorkspace(shop.crew, w1);
    expect(made).toMatchObject({ previousBaseRef: baseRef, workspace: { path, baseRef: tip }, salvage: { files: 1 } });
    expect(existsSync(join(path, "new.txt"))).toBe(false);
    await freeWorkspace(shop.crew, w1);
    expect(await recreateWorkspace(shop.crew, w1)).toMatchObject({ workspace: { path, state: "ready" } });
  });

  it("are refreshed, and tasks that are not over begin at the same commit as it is now", async () => {
    const { path, baseRef } = await make();
    const one = await shop.repository.commit({ "one.txt": "1" }, "one", path);
    await shop.repository.commit({ "two.txt": "2" }, "two", path);
    for (const [name, from] of [
      ["late", one],
      ["early", baseRef],
      ["back", one],
    ] as const) {
      await addTask(bench.context, "demo", { name, title: name });
      await claimTask(bench.context, { workstream: "demo", name }, { person: "w1" });
      await bench.context.store.write((db) =>
        db
          .updateTable("tasks")
          .set({ work_agent: "w1", work_root: shop.repository.root, work_from: from })
          .where("name", "=", name)
          .execute(),
      );
    }
    await openTask(bench.context, { workstream: "demo", name: "back" }, { person: "w1" });
    const tip = await shop.repository.commit({ "d.txt": "d" }, "landed");
    const done = await refreshWorkspace(shop.crew, w1);
    expect(done).toMatchObject({ outcome: "refreshed", workspace: { baseRef: tip }, salvage: { commits: 2 } });
    expect(done.replayed.map((commit) => commit.subject)).toEqual(["one", "two"]);
    const tasks = await bench.context.store.db.selectFrom("tasks").select(["name", "work_from"]).execute();
    expect(tasks).toContainEqual({ name: "late", work_from: done.replayed[0]?.sha });
    expect(tasks).toContainEqual({ name: "early", work_from: tip });
    expect(tasks).toContainEqual({ name: "back", work_from: done.replayed[0]?.sha });
    expect(await refreshWorkspace(shop.crew, w1)).toMatchObject({ outcome: "current" });
  });

  itOnce("stay as they were when a refresh meets a conflict or uncommitted work", async () => {
    const { path, baseRef } = await make();
    const own = await shop.repository.commit({ "src/a.txt": "mine\n" }, "mine", path);
    await shop.repository.commit({ "src/a.txt": "theirs\n" }, "theirs");
    const refused = refreshWorkspace(shop.crew, w1);
    await expect(refused).rejects.toMatchObject({
      code: "workspace.conflict",
      exitCode: 4,
      details: { conflicts: ["src/a.txt"] },
    });
    expect(await shop.repository.gitIn(path, "rev-parse", "HEAD")).toBe(own);
    expect(await listWorkspaces(shop.crew)).toMatchObject([{ baseRef, underway: null, dirty: 0 }]);
    shop.repository.write({ "src/a.txt": "dirty\n" }, path);
    await expect(refreshWorkspace(shop.crew, w1)).rejects.toMatchObject({ code: "workspace.dirty" });
    await make("w2");
    const all = await refreshAll(shop.crew, "demo");
    expect(all).toMatchObject([{ outcome: "refused", code: "workspace.dirty" }, { outcome: "current" }]);
  });

  itOnce("come back when their folder is gone, with the commits that were in it", async () => {
    const { path } = await make();
    const own = await shop.repository.commit({ "b.txt": "b" }, "work", path);
    const { rmSync } = await import("node:fs");
    rmSync(path, { recursive: true });
    expect(await listWorkspaces(shop.crew)).toMatchObject([{ present: false, head: null }]);
    expect(await findWorkspaceOrphans(shop.crew)).toMatchObject([{ kind: "row", agent: "w1" }]);
    await reviveWorkspace(shop.crew, w1);
    expect(await shop.repository.gitIn(path, "rev-parse", "HEAD")).toBe(own);
    rmSync(path, { recursive: true });
    expect(await freeWorkspace(shop.crew, w1)).toMatchObject({ changed: true, salvage: { commit: own } });
  });

  it("that nobody knows are found, saved and removed", async () => {
    const { path } = await make();
    shop.repository.write({ "new.txt": "new" }, path);
    await bench.context.store.write((db) => db.deleteFrom("workspaces").execute());
    expect(await findWorkspaceOrphans(shop.crew)).toMatchObject([{ kind: "folder", workstream: "demo", agent: "w1" }]);
    const [removed] = await removeWorkspaceOrphans(shop.crew);
    expect(removed).toMatchObject({ action: "removed", salvage: { name: "demo/w1/1", files: 1 } });
    expect(existsSync(path)).toBe(false);
    expect(await findWorkspaceOrphans(shop.crew)).toEqual([]);
  });

  it("are saved and freed with their workstream; one that cannot be saved stops it", async () => {
    const { path } = await make();
    await make("w2");
    shop.repository.write({ "new.txt": "new" }, path);
    const preview = await previewCrewDestroy(shop.crew, "demo");
    expect(preview.workspaces).toMatchObject([
      { agent: "w1", commits: 0, files: 1 },
      { agent: "w2", commits: 0, files: 0 },
    ]);
    const full = shop.with(async (file, args, options) => {
      if (args.includes("commit-tree"))
        return { code: 128, stdout: "", stderr: "fatal: write error: No space left on device", timedOut: false };
      return shop.crew.exec(file, args, options);
    });
    await expect(destroyCrew(full, "demo")).rejects.toMatchObject({ code: "vcs.no_space" });
    expect(await listWorkspaces(shop.crew)).toMatchObject([{ state: "ready" }, { state: "ready" }]);
    expect(shop.repository.read("new.txt", path)).toBe("new");

    const { workstream_id, id } = await workspaceRow(bench.context.store.db, w1);
    await bench.context.store.write(async (db) => {
      const seen = { workstream_id, a: "w1", b: "w2", paths: "[]", since: "", seen_at: "" };
      await db.insertInto("collisions").values(seen).execute();
      await db.insertInto("port_leases").values({ port: 20_001, workspace_id: id, created_at: "" }).execute();
      const was = { onto: null, tip: null, scratch: "", process: "999999 1 here", reason: null };
      const batch = { workstream_id, task_id: 1, batch: "b", root: "r", branch: "main", state: "landed", ...was };
      await db
        .insertInto("landings")
        .values({ ...batch, created_at: "", updated_at: "" })
        .execute();
    });
    expect((await destroyCrew(shop.crew, "demo")).salvages).toEqual(["demo/w1/1"]);
    const unjournalled = ["collisions", "landings", "port_leases", "workspace_changes", "workspace_holds"] as const;
    for (const table of unjournalled) {
      expect(await bench.context.store.db.selectFrom(table).select("id").execute(), table).toEqual([]);
    }
    expect(existsSync(path)).toBe(false);
    expect((await listSalvages(shop.crew)).map((one) => one.name)).toEqual(["demo/w1/1"]);
    expect(await shop.repository.git("worktree", "list")).not.toContain("w1");
  });

  it("are changed by one at a time", async () => {
    await make();
    const row = await workspaceRow(bench.context.store.db, w1);
    await withHold(shop.crew, row, async () => {
      const both = [freeWorkspace(shop.crew, w1), recreateWorkspace(shop.crew, w1), refreshWorkspace(shop.crew, w1)];
      for (const one of await Promise.allSettled(both)) {
        expect(one).toMatchObject({ status: "rejected", reason: { code: "workspace.in_progress" } });
        expect((one as PromiseRejectedResult).reason).toBeInstanceOf(Fault);
      }
    });
    await bench.context.store.write((db) =>
      db
        .insertInto("workspace_holds")
        .values({ workspace_id: row.id, holder: `999999 1 ${hostname()} dead`, intent: null, created_at: "" })
        .execute(),
    );
    expect(await freeWorkspace(shop.crew, w1)).toMatchObject({ changed: true });
  });

  itOnce("are left alone by whoever saw them half made, once they are whole", async () => {
    const { path } = await make();
    shop.repository.write({ "new.txt": "new" }, path);
    const row = await workspaceRow(bench.context.store.db, w1);
    const stale = withHold(shop.crew, { ...row, state: "creating", base_ref: null }, async () => "removed");
    await expect(stale).rejects.toMatchObject({ code: "workspace.changed", exitCode: 4 });
    await lockElsewhere(row.id, new Date());
    await expect(freeWorkspace(shop.crew, w1)).rejects.toMatchObject({ code: "workspace.in_progress" });
    expect(existsSync(join(path, "new.txt"))).toBe(true);
  });

  const lockElsewhere = async (workspace_id: number, since: Date) => {
    const hold = { workspace_id, holder: "4242 1 elsewhere dead", intent: null, created_at: since.toISOString() };
    await bench.context.store.write((db) => db.insertInto("workspace_holds").values(hold).execute());
  };

  itOnce("are not locked for ever by a process of another host, or of this one under its old name", async () => {
    const { path } = await make();
    shop.repository.write({ "new.txt": "new" }, path);
    const row = await workspaceRow(bench.context.store.db, w1);
    const since = new Date();
    await lockElsewhere(row.id, since);
    const at = (minutes: number) => {
      const clock = { ...bench.context.clock, now: () => new Date(since.getTime() + minutes * 60_000) };
      return { ...shop.crew, context: { ...shop.crew.context, clock } };
    };
    for (const act of [freeWorkspace, recreateWorkspace, refreshWorkspace]) {
      const { message } = await fault(act(at(59), w1));
      expect(message).toBe(
        `The workspace of "w1" is locked by process 4242 on elsewhere since ${since.toISOString()}. It cannot be seen from here: mu takes over after an hour.`,
      );
    }
    expect(await freeWorkspace(at(60), w1)).toMatchObject({ changed: true, salvage: { files: 1 } });
    expect(await bench.context.store.db.selectFrom("workspace_holds").selectAll().execute()).toEqual([]);
  });

  itOnce("that a process of another host left half made are settled after an hour", async () => {
    const { path } = await make();
    const { id } = await workspaceRow(bench.context.store.db, w1);
    const spec = { op: "workspace.free", scope: "demo", subject: "demo/w1" };
    await write(bench.context, spec, (tx) => tx.patch("workspaces", id, { state: "freeing" }));
    await lockElsewhere(id, new Date());
    expect(await settleWorkspaces(shop.crew)).toEqual([]);
    const clock = { ...bench.context.clock, now: () => new Date(Date.now() + 61 * 60_000) };
    const later = { ...shop.crew, context: { ...shop.crew.context, clock } };
    expect(await settleWorkspaces(later)).toMatchObject([{ agent: "w1", action: "freed" }]);
    expect(existsSync(path)).toBe(false);
  });

  itOnce("are saved though their repository was cloned anew and knows nothing of them", async () => {
    const { path } = await make();
    shop.repository.write({ "new.txt": "new", "src/a.txt": "changed" }, path);
    rmSync(join(shop.repository.root, ".git", "worktrees"), { recursive: true });
    const { salvage } = await freeWorkspace(shop.crew, w1);
    expect(salvage).toMatchObject({ commits: 0, files: 3 });
    const found = await getSalvage(shop.crew, salvage?.name ?? "");
    const { workspace } = await restoreSalvage(shop.crew, found, { workstream: "demo", name: "w2" });
    expect(shop.repository.read("new.txt", workspace.path)).toBe("new");
    expect(shop.repository.read("src/a.txt", workspace.path)).toBe("changed");
  });

  itOnce("that are plain folders in somebody's repository are saved before they are removed", async () => {
    await shop.repository.git("init", "-q", shop.crew.stateDir);
    const path = join(shop.crew.stateDir, "workspaces", "demo", "lost");
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "mine.txt"), "mine");
    const [done] = await removeWorkspaceOrphans(shop.crew, "demo");
    expect(done).toMatchObject({ action: "removed", salvage: { files: 1 } });
    expect(existsSync(done?.salvage?.place ?? "")).toBe(true);
  });

  itOnce("that are copies never write over an archive that another database left", async () => {
    const place = join(shop.crew.stateDir, "salvage", "demo", "w1", "1.tar");
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, "theirs");
    const { path } = await createWorkspace(shop.crew, w1, { projectRoot: shop.repository.root, backend: "none" });
    writeFileSync(join(path, "mine.txt"), "mine");
    expect(await freeWorkspace(shop.crew, w1)).toMatchObject({ salvage: { name: "demo/w1/2" } });
    expect(readFileSync(place, "utf8")).toBe("theirs");
  });
});
