import { existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { git } from "../../src/vcs/git/git.js";
import { runGit } from "../../src/vcs/git/run.js";
import type { Checkout } from "../../src/vcs/vcs.js";
import { newRepository, type Repository } from "../support/repository.js";

let repo: Repository;
let ann: Checkout;
beforeEach(async () => {
  repo = await newRepository();
  ann = checkout("ann");
});
afterEach(() => repo.end());

const checkout = (name: string): Checkout => ({ root: repo.root, path: join(repo.dir, "ws", name) });
const create = (at = ann, branch = "mu/demo/ann") => git.create(repo.world, at, { branch });
const branchOf = ({ path } = ann) => repo.gitIn(path, "branch", "--show-current");
const branches = async () => (await repo.git("branch", "--format=%(refname:short)")).split("\n").sort();
const save = async (n = 1, target = true) =>
  git.save(repo.world, ann, {
    ...{ name: `demo/ann/${n}`, archives: "" },
    target: target ? await git.target(repo.world, repo.root) : null,
  });
const work = (name = "a.txt", at = ann.path) => repo.commit({ [name]: "a" }, name, at);

it("a workspace is on a branch of its own, which goes with it", async () => {
  await create();
  expect(await branchOf()).toBe("mu/demo/ann");
  const head = await work();
  await save();
  await git.remove(repo.world, ann);
  expect(await branches()).toEqual(["main"]);
  expect(existsSync(join(repo.root, ".git/worktrees/ann"))).toBe(false);
  expect(await repo.git("rev-parse", "refs/mu/salvage/demo/ann/1")).toBe(head);
});

it("work on it counts as unlanded, also where nothing says what has landed", async () => {
  await create();
  const head = await work();
  expect(await save(1, false)).toMatchObject({ commits: 1, commit: head });
  expect(await git.describe(repo.world, repo.root, "refs/mu/salvage/demo/ann/1")).toContain("a.txt (Ann");
});

it("is saved also where a git that was killed left the lock of mu's own ref; a lock of a person's branch stays", async () => {
  await create();
  const head = await work();
  mkdirSync(join(repo.root, ".git/refs/mu/salvage/demo/ann"), { recursive: true });
  writeFileSync(join(repo.root, ".git/refs/mu/salvage/demo/ann/1.lock"), head.slice(0, 7));
  expect(await save()).toMatchObject({ commit: head });
  expect(await repo.git("rev-parse", "refs/mu/salvage/demo/ann/1")).toBe(head);
  mkdirSync(join(repo.root, ".git/refs/heads/mu/demo"), { recursive: true });
  const branch = join(repo.root, ".git/refs/heads/mu/demo/bob.lock");
  writeFileSync(branch, head.slice(0, 7));
  const moves = () => runGit(repo.world, repo.root, ["update-ref", "refs/heads/mu/demo/bob", head]);
  await expect(moves()).rejects.toMatchObject({ code: "vcs.locked" });
  utimesSync(branch, 0, 0);
  await moves();
  await repo.git("branch", "-D", "mu/demo/bob");
  // Nobody is on a branch that is taken for a new checkout.
  writeFileSync(branch, head.slice(0, 7));
  await create(checkout("bob"), "mu/demo/bob");
  expect(await branchOf(checkout("bob"))).toBe("mu/demo/bob");
  const theirs = join(repo.root, ".git/refs/heads/main.lock");
  writeFileSync(theirs, "");
  const fault = { code: "vcs.locked", message: expect.stringContaining("main.lock") };
  await expect(runGit(repo.world, repo.root, ["update-ref", "refs/heads/main", head])).rejects.toMatchObject(fault);
  expect(existsSync(theirs)).toBe(true);
});

it("a name that is in use, or has commits of its own, gets a number; one that nothing needs is taken", async () => {
  await create();
  await create(checkout("other"));
  expect(await branchOf(checkout("other"))).toBe("mu/demo/ann-2");
  await repo.git("branch", "mu/demo/bob");
  await create(checkout("bob"), "mu/demo/bob");
  expect(await branchOf(checkout("bob"))).toBe("mu/demo/bob");
  const tree = await repo.git("rev-parse", "HEAD^{tree}");
  const own = await repo.git("commit-tree", "-p", "HEAD", "-m", "precious", tree);
  await repo.git("branch", "mu/demo/eve", own);
  await create(checkout("eve"), "mu/demo/eve");
  expect(await branchOf(checkout("eve"))).toBe("mu/demo/eve-2");
  expect(await repo.git("rev-parse", "mu/demo/eve")).toBe(own);
});

it("is made also where git has to try again, because another checkout is being made, and once given up leaves nothing", async () => {
  const failing = (times: number) => {
    let left = times;
    const exec: typeof repo.world.exec = async (file, args, options) => {
      const result = await repo.world.exec(file, args, options);
      if (!args.includes("add") || !args.includes("worktree") || left-- <= 0) return result;
      // As git leaves it that meets a half-made entry: without the checkout, with its branch.
      await repo.git("worktree", "remove", "--force", "--force", args.find((word) => word.includes("/ws/")) ?? "");
      return { ...result, code: 128, stderr: "fatal: failed to read .git/worktrees/bob/commondir: Success\n" };
    };
    return { ...repo.world, exec };
  };
  await git.create(failing(2), ann, { branch: "mu/demo/ann" });
  expect(await branchOf()).toBe("mu/demo/ann");
  await expect(git.create(failing(99), checkout("bob"), { branch: "mu/demo/bob" })).rejects.toMatchObject({});
  expect(await branches()).toEqual(["main", "mu/demo/ann"]);
});

it("goes to one of those who want it at once, and the others get a number", async () => {
  const wanting = ["one", "two", "six"].map(checkout);
  await Promise.all(wanting.map((at) => create(at, "mu/demo/eve")));
  const names = await Promise.all(wanting.map((at) => branchOf(at)));
  expect(new Set(names).size).toBe(3);
  expect(await branches()).toEqual(["main", ...names].sort());
});

it("is given up by a checkout that finds another one on it, which got there while git was looking", async () => {
  let isFirst = true;
  const exec: typeof repo.world.exec = async (file, args, options) => {
    const result = await repo.world.exec(file, args, options);
    if (args.includes("add") && args.includes("worktree") && isFirst) {
      isFirst = false;
      await repo.git("worktree", "add", "--force", join(repo.dir, "by-hand"), "mu/demo/eve");
    }
    return result;
  };
  await git.create({ ...repo.world, exec }, ann, { branch: "mu/demo/eve" });
  expect(await branchOf()).toBe("mu/demo/eve-2");
  expect(await repo.gitIn(join(repo.dir, "by-hand"), "branch", "--show-current")).toBe("mu/demo/eve");
});

it("where git can have no such branch, the workspace has none", async () => {
  await repo.git("branch", "mu");
  await create();
  expect(await branchOf()).toBe("");
  await git.remove(repo.world, ann);
  expect(await branches()).toEqual(["main", "mu"]);
});

it("a branch that somebody else is on, or with commits that the workspace left, stays", async () => {
  await create();
  const head = await work();
  await repo.gitIn(ann.path, "checkout", "-q", "--detach", "main");
  await git.remove(repo.world, ann);
  expect(await repo.git("rev-parse", "mu/demo/ann")).toBe(head);

  await create(checkout("bob"), "mu/demo/bob");
  await repo.git("checkout", "-q", "--ignore-other-worktrees", "mu/demo/bob");
  await git.remove(repo.world, checkout("bob"));
  expect(await repo.git("branch", "--show-current")).toBe("mu/demo/bob");
  expect(await repo.git("status", "--porcelain")).toBe("");
});

it("a removal that was cut off before the branch was gone is ended by the next", async () => {
  await create();
  const head = await work();
  await save();
  rmSync(ann.path, { recursive: true });
  writeFileSync(join(repo.root, ".git/worktrees/ann/HEAD"), `${head}\n`);
  expect(await save()).toMatchObject({ commit: head });
  await git.remove(repo.world, ann);
  expect(await branches()).toEqual(["main"]);
});

it("a restore goes on on the branch, unless that would hide commits of its own", async () => {
  await create();
  const head = await work();
  const saved = await save();
  await git.remove(repo.world, ann);
  await create();
  await git.restore(repo.world, ann, saved?.place ?? "");
  expect([await branchOf(), await repo.git("rev-parse", "mu/demo/ann")]).toEqual(["mu/demo/ann", head]);

  const other = checkout("bob");
  await create(other, "mu/demo/bob");
  const own = await work("b.txt", other.path);
  await git.restore(repo.world, other, saved?.place ?? "");
  expect([await branchOf(other), await repo.git("rev-parse", "mu/demo/bob")]).toEqual(["", own]);
  expect(await git.head(repo.world, other)).toBe(head);
});

it("a refresh moves it, and a repository's command before the checkout and its hook work on it", async () => {
  writeFileSync(join(repo.root, ".git/hooks/post-checkout"), "#!/bin/sh\nexit 3\n", { mode: 0o755 });
  const before = async () => {};
  const failed = git.create(repo.world, ann, { branch: "mu/demo/ann", before });
  await expect(failed).rejects.toMatchObject({ code: "vcs.hook_failed" });
  expect(await branches()).toEqual(["main"]);
  rmSync(join(repo.root, ".git/hooks/post-checkout"));
  await git.create(repo.world, ann, { branch: "mu/demo/ann", before });
  expect(repo.read("README.md", ann.path)).toBe("hello\n");
  await work();
  await repo.commit({ "main.txt": "m" }, "meanwhile");
  const refreshed = await git.refresh(repo.world, ann, "main");
  expect(refreshed).toMatchObject({ outcome: "refreshed", head: await repo.git("rev-parse", "mu/demo/ann") });
  expect(await branchOf()).toBe("mu/demo/ann");
});
