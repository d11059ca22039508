import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readState } from "../../src/state.js";
import { openYard, type Yard } from "./yard.js";

let yard: Yard;
beforeEach(async () => {
  yard = await openYard();
});
afterEach(() => yard.end());

/** Everything about the person's checkout that a landing could spoil. */
async function checkoutState() {
  const { repo } = yard;
  return {
    main: await yard.main(),
    status: await repo.git("status", "--porcelain", "--untracked-files=all"),
    index: await repo.git("ls-files", "--stage"),
    stashes: await repo.git("stash", "list"),
    text: repo.read("a.txt"),
  };
}

const DIRTY = { code: "landing.checkout_dirty", kind: "conflict" };

describe("a person's checkout", () => {
  it("keeps changes that do not meet what lands: staged, unstaged and untracked ones", async () => {
    await yard.repo.commit({ "b.txt": "b\n", "gone.txt": "g\n" });
    await yard.finished("build", { "build.txt": "b\n", "README.md": "built\n" });
    yard.repo.write({ "a.txt": "staged\n", "new.txt": "n\n" });
    await yard.repo.git("add", "-A");
    yard.repo.write({ "a.txt": "mine\n", "b.txt": "mine\n", "gone.txt": null, "untracked.txt": "u\n" });
    const before = await checkoutState();
    const { landed } = await yard.land(undefined, { check: "test -e build.txt" });
    const after = await checkoutState();
    expect(after).toMatchObject({ main: landed[0]?.commit, status: before.status, text: "mine\n" });
    expect(await yard.repo.git("show", ":a.txt")).toBe("staged");
    expect([yard.repo.read("build.txt"), yard.repo.read("README.md")]).toEqual(["b\n", "built\n"]);
  });

  it("does not count a file as changed that was only written again, though git is to take no optional locks", async () => {
    await yard.finished("build", { "a.txt": "built\n" });
    utimesSync(join(yard.repo.root, "a.txt"), 1, 1);
    Object.assign(yard.repo.env, { GIT_OPTIONAL_LOCKS: "0" });
    expect((await yard.land()).landed.length).toBe(1);
    expect(await yard.repo.git("status", "--porcelain")).toBe("");
    expect(yard.repo.read("a.txt")).toBe("built\n");
  });

  it("is left byte for byte as it is when its changes meet what lands, before the check runs", async () => {
    await yard.finished("build", { "a.txt": "built\n", "build.txt": "b\n" });
    const mark = join(yard.repo.dir, "checked");
    for (const act of [["status"], ["add", "a.txt"]]) {
      yard.repo.write({ "a.txt": "mine\n" });
      await yard.repo.git(...act);
      const before = await checkoutState();
      const refused = yard.land(undefined, { check: `touch '${mark}'` });
      await expect(refused).rejects.toMatchObject({ ...DIRTY, details: { path: yard.repo.root, files: ["a.txt"] } });
      expect(await checkoutState()).toEqual(before);
    }
    expect(existsSync(mark)).toBe(false);
    expect(await yard.task("build")).toMatchObject({ status: "CLOSED", level: "claimed" });
  });

  it("holds back only the tasks that its changes meet; the log says so once, and the state as long as it lasts", async () => {
    await yard.finished("meets", { "a.txt": "built\n" });
    await yard.finished("after", { "after.txt": "a\n" }, { blockedBy: ["meets"] });
    await yard.finished("free", { "free.txt": "f\n" });
    yard.repo.write({ "a.txt": "mine\n" });
    const { landed, skipped } = await yard.land();
    expect(landed).toMatchObject([{ task: "free" }]);
    expect(skipped).toMatchObject([
      { task: "meets", why: "checkout_dirty" },
      { task: "after", why: "needs_first" },
    ]);
    for (const _ of [1, 2]) await expect(yard.land()).rejects.toMatchObject(DIRTY);
    const { db } = yard.crew.context.store;
    const waits = db.selectFrom("events").select("payload").where("op", "=", "land.wait");
    expect((await waits.execute()).map(({ payload }) => JSON.parse(payload).tasks)).toEqual([["meets"]]);
    const waiting = async () => (await readState(db, "shop", { now: "9999" })).waitingToLand;
    expect(await waiting()).toMatchObject([{ task: "meets", reason: expect.stringContaining("a.txt") }]);

    await yard.repo.git("checkout", "a.txt");
    expect((await yard.land()).landed.map(({ task }) => task)).toEqual(["meets", "after"]);
    expect(await waiting()).toEqual([]);
  });

  it("can follow the advice of the refusal, and loses nothing", async () => {
    yard.repo.write({ ".git/info/exclude": "*.log\n" });
    const path = await yard.workspace("bob");
    yard.repo.write({ "b.log": "theirs\n" }, path);
    await yard.repo.gitIn(path, "add", "-f", "b.log");
    await yard.finished("build", { "a.txt": "built\n", "new/n.txt": "n\n" }, { agent: "bob" });
    yard.repo.write({ "a.txt": "mine\n", "b.log": "mine\n", new: "mine\n" });
    const refused = await yard.land().catch((error) => error);
    expect(refused.details.files.sort()).toEqual(["a.txt", "b.log", "new"]);
    for (const { command } of refused.nextSteps) {
      const { code, stderr } = await yard.crew.exec("sh", ["-c", command], { env: yard.repo.env });
      expect([command, code, stderr]).toEqual([command, 0, ""]);
    }
    expect((await yard.land()).landed.length).toBe(1);
    expect(await yard.repo.git("show", "stash@{0}:a.txt")).toBe("mine");
    expect(await yard.repo.git("show", "stash@{0}^3:b.log")).toBe("mine");
    expect(await yard.repo.git("show", "stash@{0}^3:new")).toBe("mine");
  });

  it("is left alone while a merge is in progress", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    await yard.repo.git("checkout", "-qb", "side");
    await yard.repo.commit({ "a.txt": "side\n" });
    await yard.repo.git("checkout", "-q", "main");
    await yard.repo.commit({ "a.txt": "main\n" });
    await yard.repo.git("merge", "side").catch(() => {});
    await expect(yard.land()).rejects.toMatchObject({ ...DIRTY, details: { underway: "merge" } });
    await yard.repo.git("merge", "--abort");
    expect((await yard.land()).landed.length).toBe(1);
  });

  it("is left alone while its branch is being rebased", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    await yard.repo.git("checkout", "-qb", "side", "main");
    await yard.repo.commit({ "a.txt": "side\n" });
    await yard.repo.git("checkout", "-q", "main");
    await yard.repo.commit({ "a.txt": "main\n" });
    await yard.repo.git("rebase", "side").catch(() => {});
    await expect(yard.land()).rejects.toMatchObject({ ...DIRTY, details: { underway: "rebase" } });
  });

  it("keeps its untracked and ignored files; conflicting ones stop the landing before the check", async () => {
    await yard.repo.commit({ ".gitignore": "*.log\n" });
    await yard.finished("build", { "build.txt": "b\n", "kept/x": "x\n" });
    await yard.finished("logs", { "notes.txt": "n\n" });
    const mark = join(yard.repo.dir, "checked");
    yard.repo.write({ "build.txt": "precious\n", "other.txt": "o\n" });
    const before = await checkoutState();
    const refused = yard.land(["build"], { check: `touch '${mark}'` });
    await expect(refused).rejects.toMatchObject({ ...DIRTY, details: { files: ["build.txt"] } });
    expect(await checkoutState()).toEqual(before);
    expect(yard.repo.read("build.txt")).toBe("precious\n");
    expect(existsSync(mark)).toBe(false);

    rmSync(join(yard.repo.root, "build.txt"));
    const { landed } = await yard.land();
    expect(landed.length).toBe(2);
    expect(yard.repo.read("other.txt")).toBe("o\n");
  });

  it("keeps an ignored file that the landing would overwrite", async () => {
    const path = await yard.workspace("bob");
    yard.repo.write({ ".git/info/exclude": "*.log\n" });
    yard.repo.write({ "b.log": "mine\n" });
    yard.repo.write({ "b.log": "theirs\n" }, path);
    await yard.repo.gitIn(path, "add", "-f", "b.log");
    await yard.finished("build", { "b.txt": "b\n" }, { agent: "bob" });
    await expect(yard.land()).rejects.toMatchObject({ ...DIRTY, details: { files: ["b.log"] } });
    expect(yard.repo.read("b.log")).toBe("mine\n");
  });

  it("does not matter if it is detached: only the branch moves", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    await yard.repo.git("checkout", "-q", "--detach");
    yard.repo.write({ "a.txt": "mine\n" });
    const { landed } = await yard.land(undefined, { check: "test -e build.txt" });
    expect(await yard.main()).toBe(landed[0]?.commit);
    expect(yard.repo.read("a.txt")).toBe("mine\n");
    expect(existsSync(join(yard.repo.root, "build.txt"))).toBe(false);
  });

  it("may be another worktree of a bare repository", async () => {
    const { repo } = yard;
    await yard.finished("build", { "build.txt": "b\n" });
    await repo.git("checkout", "-q", "--detach");
    await repo.git("config", "core.bare", "true");
    const tree = join(repo.dir, "main tree");
    await repo.gitIn(join(repo.root, ".git"), "worktree", "add", "-q", tree, "main");
    const { landed } = await yard.land();
    expect(landed.length).toBe(1);
    expect(readFileSync(join(tree, "build.txt"), "utf8")).toBe("b\n");
    expect(await repo.gitIn(tree, "status", "--porcelain")).toBe("");
  });

  it("is ignored if its folder was deleted by hand", async () => {
    const { repo } = yard;
    await yard.finished("build", { "build.txt": "b\n" });
    await repo.git("checkout", "-q", "--detach");
    const tree = join(repo.dir, "gone");
    await repo.git("worktree", "add", "-q", tree, "main");
    rmSync(tree, { recursive: true });
    const { landed } = await yard.land();
    expect(await yard.main()).toBe(landed[0]?.commit);
  });
});

describe("a repository's hooks, locks and settings", () => {
  it("failing hooks stop neither the replay nor the scratch checkout", async () => {
    const hooks = join(yard.repo.root, ".git", "hooks");
    mkdirSync(hooks, { recursive: true });
    await yard.finished("build", { "build.txt": "b\n" });
    for (const hook of [
      "post-checkout",
      "pre-commit",
      "commit-msg",
      "prepare-commit-msg",
      "pre-rebase",
      "post-merge",
    ]) {
      writeFileSync(join(hooks, hook), "#!/bin/sh\nexit 1\n");
      chmodSync(join(hooks, hook), 0o755);
    }
    const { landed } = await yard.land(undefined, { check: "test -e build.txt" });
    expect(landed.length).toBe(1);
  });

  it("a hook that rejects the update keeps the branch where it is", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    const hook = join(yard.repo.root, ".git", "hooks", "reference-transaction");
    mkdirSync(join(hook, ".."), { recursive: true });
    writeFileSync(hook, '#!/bin/sh\n[ "$1" = prepared ] && grep -q refs/heads/main && exit 1\nexit 0\n');
    chmodSync(hook, 0o755);
    const before = await checkoutState();
    await expect(yard.land()).rejects.toMatchObject({ code: "vcs.failed" });
    expect(await checkoutState()).toEqual(before);
    expect(await yard.task("build")).toMatchObject({ level: "claimed" });
    rmSync(hook);
    expect((await yard.land()).landed.length).toBe(1);
  });

  it("a locked index stops the landing until the lock is gone", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    const lock = join(yard.repo.root, ".git", "index.lock");
    writeFileSync(lock, "");
    await expect(yard.land()).rejects.toMatchObject({ code: "vcs.locked" });
    rmSync(lock);
    expect((await yard.land()).landed.length).toBe(1);
  });

  it("without a git identity, the author is also the committer", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    const { GIT_COMMITTER_NAME: _, GIT_COMMITTER_EMAIL: __, ...env } = yard.repo.env;
    const crew = {
      ...yard.crew,
      env: { ...env, GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "user.useConfigOnly", GIT_CONFIG_VALUE_0: "true" },
    };
    Object.assign(yard.crew, crew);
    const { landed } = await yard.land();
    expect(await yard.repo.git("log", "-1", "--format=%cn", landed[0]?.commit ?? "")).toBe("Ann");
  });
});
