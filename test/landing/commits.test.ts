import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { closeOwnTasks } from "../../src/landing/close-first.js";
import { openTask } from "../../src/tasks/lifecycle.js";
import { createWorkspace } from "../../src/workspaces/create.js";
import { refreshWorkspace } from "../../src/workspaces/refresh.js";
import {
  ann,
  claim,
  commit,
  done,
  finish,
  land,
  makeWorkspace,
  onMain,
  openProject,
  path,
  ref,
  shop,
  task,
  w1,
} from "./one-worker.js";

beforeEach(openProject);
afterEach(() => shop.end());

const git = (...args: string[]) => shop.repository.gitIn(path, ...args);
const include = (name: string) =>
  closeOwnTasks(shop.crew, [ref(name)], ann, { cwd: shop.repository.root, include: true });
const level = async (name: string) => (await task(name)).level;
const subjects = async () => (await shop.repository.git("log", "--format=%s", "main")).split("\n").slice(0, -1);
const names = (items: readonly { task: string }[]) => items.map(({ task }) => task);

describe("commits of a workspace that belong to no task", () => {
  beforeEach(makeWorkspace);

  it("made before the claim are named at the claim, the close and the landing, and land with --include", async () => {
    await commit({ "early.txt": "e\n" }, "early work");
    expect(await claim("build")).toEqual(["early work"]);
    expect(await finish("build")).toMatch(/^loose_commits: .*1 commit \(early work\).*\nno_commits/);
    const { landed, skipped, loose } = await land();
    expect([landed, skipped]).toMatchObject([[], [{ task: "build", why: "loose_commits" }]]);
    expect(skipped[0]?.reason).toContain("mu land build --include");
    expect(loose).toMatchObject([{ agent: "w1", commits: [{ subject: "early work" }] }]);
    expect(await level("build")).toBe("claimed");

    await include("build");
    expect((await land(["build"])).landed).toMatchObject([{ task: "build", commits: 1 }]);
    expect(await subjects()).toEqual(["early work"]);
  });

  it("made after the close can be taken into that task, or into the next one at its close", async () => {
    await done("build", { "build.txt": "b\n" });
    await commit({ "late.txt": "l\n" }, "late work");
    expect((await land(["build"])).loose).toMatchObject([{ commits: [{ subject: "late work" }] }]);
    expect(await claim("docs")).toEqual(["late work"]);
    expect(await finish("docs", true)).toBe("");
    expect((await land()).landed).toMatchObject([{ task: "docs", commits: 1 }]);
    expect(await subjects()).toEqual(["late work", "work of build"]);
  });

  it("on another branch are named when the workspace is back on main, and land with --include", async () => {
    await claim("build");
    const base = await git("rev-parse", "HEAD");
    await git("checkout", "-q", "-b", "feature");
    await commit({ "feature.txt": "f\n" }, "on feature");
    await git("checkout", "-q", "--detach", base);
    expect(await finish("build")).toContain("1 commit (on feature)");
    expect((await land()).skipped).toMatchObject([{ task: "build", why: "loose_commits" }]);
    expect(await claim("other")).toEqual(["on feature"]);
    await include("build");
    expect((await land(["build"])).landed).toMatchObject([{ task: "build", commits: 1 }]);
    expect(await onMain("feature.txt")).toBe("f");
  });

  it("in a stash are named, but not the stash of another checkout", async () => {
    shop.repository.write({ "a.txt": "mine\n" });
    await shop.repository.git("stash", "-q");
    await claim("build");
    shop.repository.write({ "README.md": "stashed\n" }, path);
    await git("stash", "-q");
    expect(await finish("build")).toMatch(/1 stash \(stash@\{0\}\)/);
    const { skipped, loose } = await land();
    expect(skipped).toMatchObject([{ task: "build", why: "no_commits" }]);
    expect(loose).toMatchObject([{ commits: [], stashes: [{ name: "stash@{0}" }] }]);
  });

  it("do not land with a later task that does without them, and are named for one that does not", async () => {
    await commit({ "a.txt": "early\n" }, "early work");
    await done("free", { "free.txt": "f\n" });
    await done("bound", { "a.txt": "early, then bound\n" });
    const { landed, returned, skipped } = await land();
    expect([names(landed), returned]).toEqual([["free"], []]);
    expect(skipped).toMatchObject([{ task: "bound", why: "builds_on" }]);
    expect(skipped[0]?.reason).toContain("1 commit (early work) of no task");
    expect(await onMain("a.txt")).toBe("one");

    await include("bound");
    expect(names((await land(["bound"])).landed)).toEqual(["bound"]);
    expect(await onMain("a.txt")).toBe("early, then bound");
  });

  it("are none after a rebase, an amended commit and a discarded one", async () => {
    await claim("build");
    await commit({ "build.txt": "b\n" }, "first try");
    await git("commit", "-q", "--amend", "-m", "work of build");
    await commit({ "bad.txt": "b\n" }, "bad idea");
    await git("reset", "-q", "--hard", "HEAD~1");
    await commit({ "main.txt": "m\n" }, "on main", shop.repository.root);
    await git("checkout", "-q", "-b", "mine");
    await git("rebase", "-q", "main");
    expect(await finish("build")).toBe("");
    expect(await land()).toMatchObject({ landed: [{ task: "build", commits: 1 }], loose: [] });
  });
});

describe("a merge of main in a workspace", () => {
  it("with its conflicts resolved lands after an earlier task of the workspace, and survives a refresh", async () => {
    await makeWorkspace();
    await done("first", { "first.txt": "1\n" });
    expect(names((await land(["first"])).landed)).toEqual(["first"]);
    await commit({ "a.txt": "main\n" }, "on main", shop.repository.root);
    await claim("second");
    await commit({ "a.txt": "second\n" }, "work of second");
    await git("merge", "main").catch(() => {});
    await commit({ "a.txt": "main and second\n" }, "merge main");
    await finish("second");
    await commit({ "other.txt": "o\n" }, "more on main", shop.repository.root);
    await refreshWorkspace(shop.crew, w1);
    expect(shop.repository.read("a.txt", path)).toBe("main and second\n");
    expect(shop.repository.read("other.txt", path)).toBe("o\n");

    const { landed, returned } = await land(["second"]);
    expect([names(landed), returned]).toEqual([["second"], []]);
    expect(await onMain("a.txt")).toBe("main and second");
    expect(await onMain("first.txt")).toBe("1");
    expect(await subjects()).not.toContain("merge main\nfirst");
  });

  it("is what a refresh does where commits conflict one by one and together do not", async () => {
    await makeWorkspace();
    await claim("build");
    await commit({ "a.txt": "try\n" }, "try");
    await commit({ "a.txt": "one\n", "build.txt": "b\n" }, "take it back");
    await finish("build");
    await commit({ "a.txt": "main\n" }, "on main", shop.repository.root);
    await refreshWorkspace(shop.crew, w1);
    expect(shop.repository.read("a.txt", path)).toBe("main\n");
    expect(names((await land()).landed)).toEqual(["build"]);
    expect(await onMain("a.txt")).toBe("main");
  });
});

describe("work that main has already", () => {
  beforeEach(async () => {
    await makeWorkspace();
    await claim("build");
    await commit({ "a.txt": "one\ntwo\n" }, "part one");
    await commit({ "b.txt": "b\n" }, "part two");
    await finish("build");
  });

  async function squash(): Promise<string> {
    await shop.repository.git("merge", "-q", "--squash", await git("rev-parse", "HEAD"));
    return commit({}, "the pull request (#1)", shop.repository.root);
  }

  it("as a squashed pull request has landed, even if main has changed the same lines since", async () => {
    const merged = await squash();
    await commit({ "a.txt": "three\n" }, "goes on", shop.repository.root);
    expect((await land()).landed).toMatchObject([{ task: "build", commits: 0, commit: merged }]);
    expect(await onMain("a.txt")).toBe("three");
    expect(await level("build")).toBe("landed");
  });

  it("as commits of other ids has landed, and what main removed since stays removed", async () => {
    const [, first = ""] = (await git("log", "--format=%H", "-2")).split("\n");
    await commit({ "README.md": "hi\n" }, "before", shop.repository.root);
    await shop.repository.git("cherry-pick", first, await git("rev-parse", "HEAD"));
    const last = await shop.repository.git("rev-parse", "main");
    await commit({ "b.txt": "" }, "empties it", shop.repository.root);
    expect((await land()).landed).toMatchObject([{ task: "build", commits: 0, commit: last }]);
    expect(await onMain("b.txt")).toBe("");
  });

  it("and has reverted since lands again", async () => {
    await squash();
    await shop.repository.git("revert", "--no-edit", "HEAD");
    expect((await land()).landed).toMatchObject([{ task: "build", commits: 2 }]);
    expect(await onMain("b.txt")).toBe("b");
  });

  it("differently has not landed, except in white space at the cost of a conflict", async () => {
    await commit({ "a.txt": "one\n  two\n", "b.txt": "b\n" }, "alike", shop.repository.root);
    expect((await land()).returned).toMatchObject([{ task: "build", files: ["a.txt"] }]);
  });

  it("in another form has landed when someone names the commit, which main must have", async () => {
    const other = await commit({ "a.txt": "one\nTWO\n", "b.txt": "B\n" }, "by hand", shop.repository.root);
    const away = await git("rev-parse", "HEAD");
    await expect(land(["build"], { as: away })).rejects.toMatchObject({ code: "landing.not_on_branch" });
    await expect(land(["build"], { as: "nope" })).rejects.toMatchObject({ code: "vcs.unknown_ref" });
    await expect(land(["build"], "empty")).rejects.toMatchObject({ code: "landing.has_commits" });
    const { landed } = await land(["build"], { as: other.slice(0, 12) });
    expect(landed).toMatchObject([{ task: "build", commits: 0, commit: other }]);
    await openTask(shop.crew.context, ref("build"), ann);
    expect(await level("build")).toBe(null);
  });
});

describe("work without a workspace", () => {
  it("on another branch than main has not landed until it does", async () => {
    await claim("build");
    await git("checkout", "-q", "-b", "feature");
    await commit({ "feature.txt": "f\n" }, "on feature");
    await finish("build");
    await git("checkout", "-q", "main");
    expect((await land()).landed).toMatchObject([{ task: "build", commits: 1 }]);
    expect(await onMain("feature.txt")).toBe("f");
  });

  it("on a branch that was left before the close is named", async () => {
    await claim("build");
    await git("checkout", "-q", "-b", "feature");
    await commit({ "feature.txt": "f\n" }, "on feature");
    await git("checkout", "-q", "main");
    expect(await finish("build")).toContain("1 commit (on feature)");
    expect((await land()).skipped).toMatchObject([{ task: "build" }]);
  });

  it("is none if all that moved main was a landing", async () => {
    await claim("review");
    await createWorkspace(shop.crew, { workstream: "demo", name: "w2" }, { projectRoot: shop.repository.root });
    const other = await commit({ "theirs.txt": "t\n" }, "theirs", `${shop.crew.stateDir}/workspaces/demo/w2`);
    await shop.repository.git("merge", "-q", "--ff-only", other);
    await finish("review");
    expect((await land()).skipped).toMatchObject([{ task: "review", why: "no_commits" }]);
  });

  it("that was committed to main itself has landed there", async () => {
    await claim("build");
    await commit({ "build.txt": "b\n" }, "straight to main");
    await finish("build");
    expect((await land()).landed).toMatchObject([{ task: "build", commits: 0 }]);
  });
});
