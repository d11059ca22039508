import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { write } from "../../src/db/write.js";
import { execProgram } from "../../src/exec.js";
import { compareTables } from "../../src/journal/replay.js";
import { writeSql } from "../../src/journal/sql.js";
import { undoGroup } from "../../src/journal/undo/undo.js";
import { lastCheck } from "../../src/tasks/checks.js";
import { claimNext, claimTask } from "../../src/tasks/claim.js";
import { deleteTask } from "../../src/tasks/delete.js";
import { openTask, releaseTask } from "../../src/tasks/lifecycle.js";
import { moveTask } from "../../src/tasks/move.js";
import { getTask, taskRow } from "../../src/tasks/task.js";
import { type FinishOptions, finishTask } from "../../src/work/finish.js";
import { workBeforeClaim } from "../../src/work/work.js";
import { changeSetting, destroyWorkstream, initWorkstream } from "../../src/workstreams/workstream.js";
import { describeOnce, onEachDialect } from "../support/database.js";
import { newRepository, type Repository } from "../support/repository.js";
import { at, closeAgent, DEMO, ops, plan, spawn } from "../support/tasks.js";
import { openWorkspace, recordWorkspace } from "../support/workspaces.js";

const W1 = { agent: "w1" };
const ANN = { person: "ann" };

onEachDialect("finishing a task", (bench) => {
  let repo: Repository;
  let path: string;
  let incarnation: number;
  beforeEach(async () => {
    repo = await newRepository();
    await plan(bench.context, ["build"], ["docs"], ["ship"]);
    await initWorkstream(bench.context, DEMO, { root: repo.root });
    incarnation = await spawn(bench.context, "w1");
    path = await openWorkspace(bench.context, repo, "w1");
  });
  afterEach(() => repo.end());

  const db = () => bench.context.store.db;
  const world = () => ({ context: bench.context, exec: execProgram, env: repo.env });
  const set = (key: string, value: string) => changeSetting(bench.context, DEMO, key, value);
  const finish = (name: string, who: typeof W1 | typeof ANN = W1, options: Partial<FinishOptions> = {}) =>
    finishTask(world(), at(name), who, { cwd: repo.root, ...options });
  const claim = async (name: string, agent = "w1") => {
    const work = await workBeforeClaim(repo.world, db(), { workstream: DEMO, name: agent }, name);
    await claimTask(bench.context, at(name), { agent }, { work });
  };
  const commit = (file: string, text = file) => repo.commit({ [file]: text }, `add ${file}`, path);
  const head = () => repo.gitIn(path, "rev-parse", "HEAD");
  const work = async (name: string) => {
    const row = await taskRow(db(), at(name));
    return { agent: row.work_agent, root: row.work_root, from: row.work_from, to: row.work_to };
  };
  const codes = (finished: { warnings: { code: string }[] }) => finished.warnings.map(({ code }) => code);

  describeOnce("whose owner has a workspace", () => {
    it("names who was working on it, and how many commits that made, if somebody else closes it", async () => {
      await claim("build");
      await commit("one.txt");
      await commit("two.txt");
      expect((await finish("build", ANN)).was).toEqual({ owner: "w1", commits: 2 });
      await claim("docs");
      expect((await finish("docs")).was).toBeUndefined();
      expect((await finish("ship", ANN)).was).toBeUndefined();
    });

    it("records which commits are its work, and keeps them alive", async () => {
      const base = await head();
      await claim("build");
      expect(await work("build")).toEqual({ agent: "w1", root: repo.root, from: base, to: null });
      await commit("a");
      const tip = await commit("b");
      expect(await finish("build")).toMatchObject({ changed: true, check: null, warnings: [] });
      expect(await work("build")).toEqual({ agent: "w1", root: repo.root, from: base, to: tip });
      expect(await repo.git("rev-parse", "refs/mu/work/demo/build")).toBe(tip);
      expect((await getTask(db(), at("build"))).level).toBe("claimed");
    });

    it("shares the commits out among the tasks that it has at once", async () => {
      const base = await head();
      await claim("build");
      await claim("docs");
      const first = await commit("a");
      await finish("docs");
      const second = await commit("b");
      await claim("ship");
      await finish("build");
      expect(await work("docs")).toMatchObject({ from: base, to: first });
      expect(await work("build")).toMatchObject({ from: first, to: second });
      const nothing = await finish("ship");
      expect(codes(nothing)).toEqual(["no_commits"]);
      expect(await work("ship")).toMatchObject({ from: second, to: second });
    });

    it("takes all of a task's commits along that came back, though another was done on top of them", async () => {
      const base = await head();
      await claim("build");
      await commit("a");
      await finish("build");
      await claim("docs");
      await commit("b");
      await finish("docs");
      await openTask(bench.context, at("build"), ANN);
      await claim("build");
      const fixed = await commit("c");
      await finish("build");
      expect(await work("build")).toMatchObject({ from: base, to: fixed });
    });

    it("goes on with what it had when it takes a task again, and begins anew when that is gone", async () => {
      const base = await head();
      await claim("build");
      await commit("a");
      await releaseTask(bench.context, at("build"), W1);
      await claim("build");
      expect(await work("build")).toMatchObject({ from: base });
      const kept = await commit("b");
      await finish("build");
      await openTask(bench.context, at("build"), ANN);
      expect(await work("build")).toMatchObject({ from: base, to: null });

      await repo.commit({ main: "moved" });
      await repo.gitIn(path, "checkout", "-q", "--detach", kept);
      const work2 = await workBeforeClaim(repo.world, db(), { workstream: DEMO, name: "w1" }, undefined);
      expect([...(work2?.continues ?? [])]).toEqual([base]);
      await repo.gitIn(path, "checkout", "-q", "--orphan", "anew");
      await repo.commit({ other: "history" }, "anew", path);
      await claim("build");
      expect(await work("build")).toMatchObject({ from: await head() });
    });

    it("counts what was rebased by hand from where it left the branch", async () => {
      await claim("build");
      await commit("a");
      const moved = await repo.commit({ main: "moved" });
      await repo.gitIn(path, "rebase", "-q", moved);
      await repo.gitIn(path, "commit", "-q", "--amend", "-m", "better");
      expect(codes(await finish("build"))).toEqual([]);
      expect((await work("build")).to).toBe(await head());
    });

    it("of another owner has none of it, and the best ready task gets its beginning too", async () => {
      await claim("build");
      await commit("a");
      await releaseTask(bench.context, at("build"), W1);
      await claimTask(bench.context, at("build"), ANN);
      expect(await work("build")).toEqual({ agent: null, root: null, from: null, to: null });
      const begun = await workBeforeClaim(repo.world, db(), { workstream: DEMO, name: "w1" }, undefined);
      const { task } = await claimNext(bench.context, DEMO, W1, { work: begun });
      expect(await work(task.name)).toMatchObject({ agent: "w1", from: await head() });
    });

    it("is closed although nobody can tell any more where its work began", async () => {
      await claim("build");
      await commit("a");
      await write(bench.context, { op: "test.forget", scope: DEMO, subject: DEMO }, async (tx) => {
        const { id } = await taskRow(tx.db, at("build"));
        await tx.patch("tasks", id, { work_from: "0".repeat(40) });
      });
      expect(codes(await finish("build"))).toEqual(["unknown_work"]);
      expect(await work("build")).toMatchObject({ agent: "w1", from: null, to: null });
    });

    it("says what is not committed, and that a workspace is gone", async () => {
      await claim("build");
      writeFileSync(join(path, "new"), "x");
      expect(codes(await finish("build"))).toEqual(["uncommitted", "no_commits"]);
      await claim("docs");
      rmSync(path, { recursive: true });
      expect(codes(await finish("docs"))).toEqual(["workspace_gone"]);
      expect(await work("docs")).toMatchObject({ root: repo.root, from: null, to: null });
    });
  });

  describe("with a check", () => {
    it("that is green, is verified in the same event, with commit, tree and last lines", async () => {
      await claim("build");
      const tip = await commit("a");
      const heard: string[] = [];
      const onOutput = (chunk: Uint8Array) => void heard.push(Buffer.from(chunk).toString());
      const finished = await finish("build", W1, { check: "echo checked; pwd", onOutput });
      expect(finished.task.level).toBe("verified");
      expect(finished.check).toMatchObject({
        command: "echo checked; pwd",
        author: "w1",
        green: true,
        exitCode: 0,
        commit: tip,
        tree: await repo.gitIn(path, "rev-parse", "HEAD^{tree}"),
        tail: `checked\n${path}`,
      });
      expect(heard.join("")).toBe(`checked\n${path}\n`);
      expect((await ops(bench.context)).slice(-1)).toEqual(["task.close"]);
      expect(await lastCheck(db(), (await taskRow(db(), at("build"))).id)).toEqual(finished.check);
    });

    it("that is red or hangs, stays in progress, and the check is kept", async () => {
      await claim("build");
      await commit("a");
      await expect(finish("build", W1, { check: "echo broken; exit 3" })).rejects.toMatchObject({
        kind: "negative",
        exitCode: 1,
        code: "task.check_failed",
        message: "The check of build ended with 3, so it is still IN_PROGRESS: echo broken; exit 3",
        nextSteps: expect.arrayContaining([
          { intent: expect.any(String), command: "mu task close demo/build --check 'echo broken; exit 3'" },
        ]),
        details: { check: { exitCode: 3, green: false, tail: "broken" } },
      });
      await set("checkTimeoutSeconds", "1");
      await expect(finish("build", W1, { check: "sleep 100" })).rejects.toMatchObject({
        code: "task.check_failed",
        message: expect.stringMatching(/ timed out after [\d.]+ s, /),
        details: { check: { exitCode: null, green: false } },
      });
      expect(await getTask(db(), at("build"))).toMatchObject({ status: "IN_PROGRESS", owner: "w1", level: null });
      expect(await lastCheck(db(), (await taskRow(db(), at("build"))).id)).toMatchObject({ command: "sleep 100" });
      expect((await ops(bench.context)).slice(-2)).toEqual(["task.check", "workstream.set", "task.check"].slice(-2));
    });

    it("of the workstream, unless another or none is asked for", async () => {
      await set("check", "exit 7");
      await expect(finish("build", ANN)).rejects.toMatchObject({ code: "task.check_failed" });
      expect((await finish("build", ANN, { check: "true" })).task.level).toBe("verified");
      expect((await finish("docs", ANN, { check: null })).task.level).toBe("claimed");
    });

    it("that saw something else than what is recorded, is not verified", async () => {
      await claim("build");
      await commit("a");
      writeFileSync(join(path, "new"), "x");
      const dirty = await finish("build", W1, { check: "true" });
      expect([dirty.task.level, codes(dirty)]).toEqual(["claimed", ["uncommitted", "not_verified"]]);
      await commit("b");
      await claim("docs");
      await commit("c");
      const moved = await finish("docs", W1, { check: "echo result > result.txt" });
      expect([moved.task.level, codes(moved)]).toEqual(["claimed", ["loose_commits", "not_verified"]]);
      await commit("d");
      const again = await finish("docs", W1, { check: "true" });
      expect([again.task.level, codes(again)]).toEqual(["claimed", ["not_verified"]]);
    });

    it("may verify afterwards what was closed by word alone", async () => {
      await claim("build");
      await commit("a");
      await finish("build");
      const verified = await finish("build", ANN, { check: "test -f a" });
      expect(verified).toMatchObject({ changed: true, task: { level: "verified" }, check: { green: true } });
    });

    it("does not close a task that went elsewhere in the meantime", async () => {
      await claim("build");
      await commit("a");
      let others = 0;
      const stolen = async () => {
        if (others++ > 0) return;
        await releaseTask(bench.context, at("build"), ANN);
        await claimTask(bench.context, at("build"), { person: "bob" });
        writeFileSync(join(repo.dir, "taken"), "");
      };
      const check = `echo go; while ! test -e '${join(repo.dir, "taken")}'; do sleep 0.05; done`;
      await expect(finish("build", W1, { check, onOutput: () => void stolen() })).rejects.toMatchObject({
        code: "task.claim_changed",
      });
      expect(await getTask(db(), at("build"))).toMatchObject({ status: "IN_PROGRESS", owner: "bob" });
    });

    it("that the person stops, changes nothing", async () => {
      const signal = AbortSignal.abort();
      await expect(finish("build", ANN, { check: "sleep 100", signal })).rejects.toMatchObject({
        code: "check.interrupted",
      });
      expect((await getTask(db(), at("build"))).status).toBe("OPEN");
    });

    it("of who has no workspace, runs in the caller's folder inside the project, else in the project's", async () => {
      mkdirSync(join(repo.root, "sub"));
      const where = async (name: string, cwd: string) => (await finish(name, ANN, { check: "pwd", cwd })).check?.tail;
      expect(await where("build", join(repo.root, "sub"))).toBe(join(repo.root, "sub"));
      expect(await where("docs", repo.dir)).toBe(repo.root);
    });
  });

  describeOnce("where the workstream asks agents for more than their word", () => {
    it("commit: nothing uncommitted, and something committed; people are free", async () => {
      await set("closeRequires", "commit");
      await claim("build");
      const refused = { kind: "conflict", exitCode: 4, code: "task.commit_required" };
      await expect(finish("build")).rejects.toMatchObject(refused);
      await commit("a");
      writeFileSync(join(path, "new"), "x");
      await expect(finish("build")).rejects.toMatchObject({ ...refused, details: { uncommitted: 1, commits: 1 } });
      await commit("b");
      expect((await finish("build")).task.status).toBe("CLOSED");
      await claim("docs");
      expect((await finish("docs", ANN)).task.status).toBe("CLOSED");
    });

    it("commit, of an agent without commits to look at: it is closed, and that is said", async () => {
      await set("closeRequires", "commit");
      await spawn(bench.context, "w2");
      await claim("build", "w2");
      expect(codes(await finishTask(world(), at("build"), { agent: "w2" }, { cwd: repo.root }))).toEqual([
        "no_workspace",
      ]);
    });

    it("check: a green one of what is recorded", async () => {
      await set("closeRequires", "check");
      await claim("build");
      await commit("a");
      const refused = { kind: "conflict", code: "task.check_required" };
      await expect(finish("build")).rejects.toMatchObject(refused);
      await expect(finish("build", W1, { check: null })).rejects.toMatchObject(refused);
      await expect(finish("build", W1, { check: "touch made" })).rejects.toMatchObject(refused);
      rmSync(join(path, "made"));
      await expect(finish("build", W1, { check: "exit 1" })).rejects.toMatchObject({ code: "task.check_failed" });
      expect((await finish("build", W1, { check: "true" })).task.level).toBe("verified");
    });

    it("landed: its commits on the target, unless it is landed next", async () => {
      await set("closeRequires", "landed");
      await claim("build");
      const tip = await commit("a");
      await expect(finish("build")).rejects.toMatchObject({ kind: "conflict", code: "task.landing_required" });
      repo.write({ "left.txt": "over" }, path);
      const half = finish("build", W1, { landsNext: true });
      await expect(half).rejects.toMatchObject({ code: "task.commit_required" });
      repo.write({ "left.txt": null }, path);
      expect((await finish("build", W1, { landsNext: true })).task.level).toBe("claimed");
      await openTask(bench.context, at("build"), ANN);
      await claim("build");
      await repo.git("merge", "-q", "--ff-only", tip);
      expect((await finish("build")).task).toMatchObject({ level: "landed", landedCommit: tip });
    });
  });

  describe("and what hangs on it", () => {
    const checked = async () => {
      await claim("build");
      await commit("a");
      await finish("build", W1, { check: "true" });
    };
    const checks = async () => (await db().selectFrom("checks").select("id").execute()).length;
    const agree = async () => expect(await compareTables(db())).toEqual([]);

    it("comes back with an undo, and goes with the task and the workstream", async () => {
      await checked();
      await agree();
      const { group_id } = await db()
        .selectFrom("events")
        .select("group_id")
        .where("op", "=", "task.close")
        .orderBy("id", "desc")
        .executeTakeFirstOrThrow();
      const before = await work("build");
      await undoGroup(bench.context, group_id);
      expect(await getTask(db(), at("build"))).toMatchObject({ status: "IN_PROGRESS", level: null });
      expect([await checks(), (await work("build")).to]).toEqual([0, null]);
      await finish("build", W1, { check: "true" });
      expect(await work("build")).toEqual(before);
      await agree();
      await deleteTask(bench.context, at("build"), ANN);
      expect(await checks()).toBe(0);
      await agree();
    });

    it("may be changed and removed by hand, and the log knows", async () => {
      await checked();
      if (bench.context.store.dialect !== "sqlite") return;
      await writeSql(bench.context, "update checks set seconds = 7");
      await agree();
      await writeSql(bench.context, "delete from checks");
      await agree();
    });

    it("is moved and destroyed with its task", async () => {
      await claim("build");
      await expect(finish("build", W1, { check: "false" })).rejects.toMatchObject({ code: "task.check_failed" });
      await openTask(bench.context, at("build"), ANN);
      await initWorkstream(bench.context, "other");
      await moveTask(bench.context, at("build"), "other");
      expect(await checks()).toBe(1);
      await agree();
      await closeAgent(bench.context, incarnation);
      await destroyWorkstream(bench.context, "other");
      expect(await checks()).toBe(0);
      await agree();
    });
  });

  it("of a copy has no commits, and its check is of no tree", async () => {
    await spawn(bench.context, "w3");
    mkdirSync(join(repo.dir, "copy"));
    await recordWorkspace(bench.context, {
      agent: "w3",
      backend: "none",
      root: repo.root,
      path: join(repo.dir, "copy"),
      base_ref: null,
    });
    await claim("build", "w3");
    const finished = await finishTask(world(), at("build"), { agent: "w3" }, { cwd: repo.root, check: "pwd" });
    expect(finished.task.level).toBe("verified");
    expect(finished.check).toMatchObject({ commit: null, tree: null, tail: join(repo.dir, "copy") });
    expect(await work("build")).toMatchObject({ agent: "w3", root: repo.root, from: null, to: null });
  });
});
