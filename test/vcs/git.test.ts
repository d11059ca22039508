import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Exec } from "../../src/exec.js";
import { getBackend } from "../../src/vcs/backends.js";
import type { Checkout, VcsWorld } from "../../src/vcs/vcs.js";
import { newRepository, type Repository } from "../support/repository.js";
import { manifestOf } from "../support/trees.js";
import { describeBackend } from "./conformance.js";

const git = getBackend("git");

describeBackend("git", {
  backend: git,
  available: true,
  history: true,
  newProject: async () => {
    const { world, dir, root, gitIn, end } = await newRepository();
    return {
      world,
      dir,
      root,
      end,
      stage: (cwd) => gitIn(cwd, "add", "--all"),
      commit: async (cwd, message) => {
        await gitIn(cwd, "add", "--all");
        await gitIn(cwd, "commit", "--quiet", "--allow-empty", "--message", message);
        return gitIn(cwd, "rev-parse", "HEAD");
      },
    };
  },
});

describe("git worktrees", () => {
  let repo: Repository;
  let world: VcsWorld;
  let ann: Checkout;

  beforeEach(async () => {
    repo = await newRepository();
    world = repo.world;
    ann = { root: repo.root, path: join(repo.dir, "ws", "ann") };
  });
  afterEach(() => repo.end());

  const hook = async (name: string, script: string) => {
    const file = join(repo.root, ".git", "hooks", name);
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  };
  const entry = (name = "ann") => join(repo.root, ".git", "worktrees", name);
  const save = async (name = "w/ann/1") =>
    git.save(world, ann, { name, target: await git.target(world, repo.root), archives: "" });
  const standing = async () =>
    (await git.standings(world, repo.root, [ann.path], await git.target(world, repo.root)))[0];
  const onlyMain = async () => {
    expect(existsSync(ann.path)).toBe(false);
    expect(await repo.git("worktree", "list", "--porcelain")).not.toContain(ann.path);
  };
  /** The world in which the first program that `isIt` knows answers with `stderr`, or ends us when that is undefined. */
  const worldWhere = (isIt: (args: readonly string[]) => boolean, stderr?: string): VcsWorld => {
    const exec: Exec = async (file, args, options) => {
      if (!isIt(args)) return world.exec(file, args, options);
      if (stderr === undefined) throw new Error("killed here");
      return { code: 128, stdout: "", stderr, timedOut: false };
    };
    return { ...world, exec };
  };

  describe("where work lands", () => {
    const target = (wish?: string) => git.target(world, repo.root, wish);

    test("is the branch that was asked for, local or of a remote, and a wrong one is refused", async () => {
      await repo.git("branch", "next");
      expect(await target("next")).toMatchObject({ branch: "next" });
      await repo.git("update-ref", "refs/remotes/origin/theirs", "HEAD");
      expect(await target("theirs")).toMatchObject({ branch: "theirs" });
      expect(await target("origin/theirs")).toMatchObject({ branch: "theirs" });
      await expect(target("nowhere")).rejects.toMatchObject({ code: "vcs.unknown_ref", exitCode: 3 });
    });

    test("is the remote's default branch, at the local commit where there is one", async () => {
      const first = await repo.git("rev-parse", "HEAD");
      await repo.git("update-ref", "refs/remotes/origin/dev", "HEAD");
      await repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/dev");
      expect(await target()).toEqual({ branch: "dev", commit: first });
      await repo.git("checkout", "-qb", "dev");
      const second = await repo.commit({ "a.txt": "a" });
      expect(await target()).toEqual({ branch: "dev", commit: second });
    });

    test("is main with a detached HEAD, else master, else the branch one is on", async () => {
      await repo.git("checkout", "-q", "--detach");
      expect(await target()).toMatchObject({ branch: "main" });
      await repo.git("branch", "-m", "main", "master");
      expect(await target()).toMatchObject({ branch: "master" });
      await repo.git("branch", "-m", "master", "trunk");
      await expect(target()).rejects.toMatchObject({ code: "vcs.no_target", exitCode: 4 });
      await repo.git("checkout", "-q", "trunk");
      expect(await target()).toMatchObject({ branch: "trunk" });
    });

    test("is nowhere in a repository without a commit", async () => {
      const root = join(repo.dir, "empty");
      await repo.git("init", "-q", root);
      expect(await git.findRoot(world, root)).toBe(root);
      await expect(git.target(world, root)).rejects.toMatchObject({ code: "vcs.no_commits" });
      const made = git.create(world, { root, path: ann.path }, {});
      await expect(made).rejects.toMatchObject({ code: "vcs.no_commits" });
    });
  });

  describe("layouts", () => {
    test("a folder in a linked worktree belongs to the main one's root", async () => {
      await git.create(world, ann, {});
      expect(await git.findRoot(world, ann.path)).toBe(repo.root);
    });

    test("a bare repository with worktrees is its own root", async () => {
      const bare = join(repo.dir, "hub", ".bare");
      await repo.git("clone", "-q", "--bare", repo.root, bare);
      writeFileSync(join(repo.dir, "hub", ".git"), "gitdir: ./.bare\n");
      await repo.gitIn(bare, "worktree", "add", "-q", "../main", "main");
      expect(await git.findRoot(world, join(repo.dir, "hub", "main"))).toBe(bare);
      expect(await git.findRoot(world, join(repo.dir, "hub"))).toBe(bare);
      const checkout = { root: bare, path: ann.path };
      await git.create(world, checkout, {});
      repo.write({ "new.txt": "new" }, ann.path);
      const target = await git.target(world, bare);
      expect(await git.standings(world, bare, [ann.path], target)).toMatchObject([{ ahead: 0, behind: 0, dirty: 1 }]);
      const saved = await git.save(world, checkout, { name: "w/ann/1", target, archives: "" });
      await git.remove(world, checkout);
      await git.create(world, checkout, {});
      await git.restore(world, checkout, saved?.place ?? "");
      expect(repo.read("new.txt", ann.path)).toBe("new");
    });

    test("a shallow clone makes and saves workspaces", async () => {
      await repo.commit({ "a.txt": "a" });
      const root = join(repo.dir, "shallow");
      await repo.git("clone", "-q", "--depth", "1", `file://${repo.root}`, root);
      const checkout = { root, path: ann.path };
      await git.create(world, checkout, {});
      await repo.commit({ "b.txt": "b" }, "b", ann.path);
      const target = await git.target(world, root);
      expect(await git.standings(world, root, [ann.path], target)).toMatchObject([{ ahead: 1, behind: 0, dirty: 0 }]);
      expect(await git.save(world, checkout, { name: "w/ann/1", target, archives: "" })).toMatchObject({ commits: 1 });
    });

    test("no folder outside of a repository is ours, and git is missed only inside of one", async () => {
      const away = {
        ...world,
        exec: (_: string, ...rest: [readonly string[], object?]) => world.exec("no-git", ...rest),
      };
      expect(await git.findRoot(world, repo.dir)).toBeUndefined();
      expect(await git.findRoot(away, repo.dir)).toBeUndefined();
      await expect(git.findRoot(away, repo.root)).rejects.toMatchObject({ code: "vcs.not_installed" });
    });

    test("the caller's own git variables lead nowhere", async () => {
      const misled = { ...world, env: { ...world.env, GIT_DIR: "/nowhere", GIT_WORK_TREE: "/", GIT_INDEX_FILE: "/x" } };
      expect(await git.findRoot(misled, repo.root)).toBe(repo.root);
      expect(await git.create(misled, ann, {})).toEqual(await git.create(world, ann, {}));
    });
  });

  describe("making one", () => {
    test("says why a filter or a hook refused, and can prepare a filter or leave hooks out", async () => {
      const needsKey = `sh -c 'test -e "$(git rev-parse --git-dir)/key" || { echo the key is missing >&2; exit 1; }; cat'`;
      await repo.git("config", "filter.locked.clean", "cat");
      await repo.git("config", "filter.locked.smudge", needsKey);
      await repo.git("config", "filter.locked.required", "true");
      await repo.commit({ ".gitattributes": "secret.txt filter=locked\n", "secret.txt": "s\n" });
      await expect(git.create(world, ann, {})).rejects.toMatchObject({
        code: "vcs.filter_failed",
        message: expect.stringContaining("the key is missing"),
        nextSteps: [{}, { command: "mu workstream set setup.beforeCheckout '…'" }],
      });
      expect(existsSync(ann.path)).toBe(false);
      const before = async () => {
        const gitDir = await repo.gitIn(ann.path, "rev-parse", "--absolute-git-dir");
        writeFileSync(join(gitDir, "key"), "");
      };
      await git.create(world, ann, { before });
      expect(repo.read("secret.txt", ann.path)).toBe("s\n");
      expect(await repo.gitIn(ann.path, "status", "--porcelain")).toBe("");
      await git.remove(world, ann);
      const hook = join(repo.root, ".git", "hooks", "post-checkout");
      mkdirSync(dirname(hook), { recursive: true });
      writeFileSync(hook, "#!/bin/sh\necho not today >&2\nexit 3\n", { mode: 0o755 });
      for (const options of [{ before }, {}]) {
        const refused = { code: options.before ? "vcs.hook_failed" : "vcs.filter_failed" };
        await expect(git.create(world, ann, options)).rejects.toMatchObject(refused);
      }
      await git.create(world, ann, { before, hooks: "off" });
      expect(repo.read("secret.txt", ann.path)).toBe("s\n");
    });

    test("leaves nothing when the repository's hook refuses it", async () => {
      await hook("post-checkout", "echo not today >&2; exit 7");
      const refused = git.create(world, ann, {});
      await expect(refused).rejects.toMatchObject({ code: "vcs.hook_failed", exitCode: 4 });
      await expect(refused).rejects.toThrow(/post-checkout.*exit 7.*not today/);
      await onlyMain();
    });

    test("leaves nothing when the disk is full", async () => {
      const full = worldWhere((args) => args.includes("add"), "fatal: write error: No space left on device\n");
      await expect(git.create(full, ann, {})).rejects.toMatchObject({ code: "vcs.no_space", exitCode: 5 });
      await onlyMain();
    });

    test("makes a checkout anew that git was killed over, and one that only we were", async () => {
      await hook("post-checkout", "kill -9 $PPID");
      await expect(git.create(world, ann, {})).rejects.toMatchObject({ code: "vcs.failed" });
      await onlyMain();
      await repo.git("worktree", "add", "-q", "--detach", "--lock", ann.path).catch(() => undefined);
      rmSync(join(ann.path, "README.md"));
      rmSync(join(repo.root, ".git", "hooks"), { recursive: true });
      await git.create(world, ann, {});
      expect(repo.read("README.md", ann.path)).toBe("hello\n");
      expect(existsSync(join(entry(), "locked"))).toBe(false);
      writeFileSync(join(entry(), "locked"), "initializing");
      rmSync(join(ann.path, ".git"));
      await git.create(world, ann, {});
      expect((await standing())?.dirty).toBe(0);
    });

    test("does not touch files that are in its way", async () => {
      repo.write({ "precious.txt": "mine" }, ann.path);
      await expect(git.create(world, ann, {})).rejects.toMatchObject({ code: "vcs.path_taken" });
      expect(manifestOf(ann.path)).toHaveProperty(["precious.txt"]);
    });

    test("keeps its hands off a worktree that a person locked", async () => {
      await git.create(world, ann, {});
      await repo.git("worktree", "lock", "--reason", "on a stick", ann.path);
      await expect(git.remove(world, ann)).rejects.toThrow("on a stick");
      expect(existsSync(ann.path)).toBe(true);
    });
  });

  test("many heads are as far from the target as git itself counts, merges and strangers included", async () => {
    const paths: string[] = [];
    const add = async (from: string) => {
      const path = join(repo.dir, "ws", `n${paths.length}`);
      await git.create(world, { root: repo.root, path }, { from });
      paths.push(path);
      return path;
    };
    const first = await repo.git("rev-parse", "HEAD");
    const one = await add("main");
    await repo.commit({ "one.txt": "1" }, "one", one);
    await repo.commit({ "main.txt": "1" });
    const two = await add("main");
    await repo.gitIn(two, "merge", "-q", "--no-edit", await repo.gitIn(one, "rev-parse", "HEAD"));
    await repo.commit({ "main.txt": "2" });
    await repo.git("merge", "-q", "--no-edit", await repo.gitIn(one, "rev-parse", "HEAD"));
    await add("main");
    await add(first);
    const check = async () => {
      for (const { path, ahead, behind } of await git.standings(
        world,
        repo.root,
        paths,
        await git.target(world, repo.root),
      ))
        expect(`${behind}\t${ahead}`).toBe(
          await repo.gitIn(path, "rev-list", "--left-right", "--count", "main...HEAD"),
        );
    };
    await check();
    const stranger = await add("main");
    await repo.gitIn(stranger, "checkout", "-q", "--orphan", "strange");
    await repo.commit({ "s.txt": "s" }, "s", stranger);
    await check();
    writeFileSync(join(entry("n0"), "HEAD"), `${"1".repeat(40)}\n`);
    const [broken, ...others] = await git.standings(world, repo.root, paths, await git.target(world, repo.root));
    expect(broken).toMatchObject({ present: true, ahead: null, behind: null, dirty: null });
    expect(others.every(({ ahead }) => ahead !== null)).toBe(true);
  });

  describe("a snapshot", () => {
    const untouched = () => {
      const gitFolder = Object.entries(manifestOf(join(repo.root, ".git")));
      return { files: manifestOf(ann.path), git: gitFolder.filter(([path]) => !path.startsWith("objects/")) };
    };
    const filesOf = async (tree = "") => (await repo.git("ls-tree", "-r", "--name-only", tree)).split("\n");

    test("leaves index, refs and files byte for byte, with files that are meant to be added and a lock", async () => {
      await git.create(world, ann, {});
      repo.write({ "meant.txt": "m", "staged.txt": "s", "new.txt": "n" }, ann.path);
      await repo.gitIn(ann.path, "add", "-N", "meant.txt");
      await repo.gitIn(ann.path, "add", "staged.txt");
      repo.write({ "staged.txt": "s2" }, ann.path);
      writeFileSync(join(entry(), "index.lock"), "");
      const before = untouched();
      const shot = await git.snapshot(world, ann);
      expect(untouched()).toEqual(before);
      expect(await filesOf(shot?.tree)).toEqual(["README.md", "meant.txt", "new.txt", "staged.txt"]);
      expect(await filesOf(shot?.indexTree)).toEqual(["README.md", "staged.txt"]);
      expect(await repo.git("cat-file", "-p", `${shot?.indexTree}:staged.txt`)).toBe("s");
    });

    test("sees a change made in the moment after the index was written", async () => {
      await git.create(world, ann, {});
      for (let round = 0; round < 20; round += 1) {
        repo.write({ "quick.txt": "a" }, ann.path);
        await repo.gitIn(ann.path, "add", "quick.txt");
        repo.write({ "quick.txt": "b" }, ann.path);
        const shot = await git.snapshot(world, ann);
        expect(await repo.git("cat-file", "-p", `${shot?.tree}:quick.txt`)).toBe("b");
      }
    });

    test("takes an unmerged checkout as it stands, with its conflict markers", async () => {
      await git.create(world, ann, {});
      const theirs = await repo.commit({ "README.md": "theirs\n" });
      await repo.commit({ "README.md": "ours\n" }, "ours", ann.path);
      await repo.gitIn(ann.path, "merge", "-q", theirs).catch(() => undefined);
      const before = untouched();
      const shot = await git.snapshot(world, ann);
      expect(untouched()).toEqual(before);
      expect(await repo.git("cat-file", "-p", `${shot?.tree}:README.md`)).toContain("<<<<<<<");
      expect(await repo.git("cat-file", "-p", `${shot?.indexTree}:README.md`)).toBe("ours");
    });

    test("of a sparse checkout keeps what is not checked out", async () => {
      await repo.commit({ "in/a.txt": "a", "out/b.txt": "b" });
      await git.create(world, ann, {});
      await repo.gitIn(ann.path, "sparse-checkout", "set", "in");
      repo.write({ "in/new.txt": "n", "elsewhere/c.txt": "c" }, ann.path);
      const shot = await git.snapshot(world, ann);
      expect(await filesOf(shot?.tree)).toEqual([
        "README.md",
        "elsewhere/c.txt",
        "in/a.txt",
        "in/new.txt",
        "out/b.txt",
      ]);
    });
  });

  describe("a save", () => {
    const bringBack = async (place = "") => {
      await git.remove(world, ann);
      await repo.git("gc", "-q", "--prune=now");
      await git.create(world, ann, {});
      await git.restore(world, ann, place);
    };

    test("brings back what was staged as staged, and what was changed after that as changed", async () => {
      await repo.commit({ "gone.txt": "g\n", "moved.txt": "one\ntwo\nthree\n", "both.txt": "1\n" });
      await git.create(world, ann, {});
      await repo.gitIn(ann.path, "mv", "moved.txt", "renamed.txt");
      await repo.gitIn(ann.path, "rm", "-q", "gone.txt");
      repo.write({ "both.txt": "2\n", "staged.txt": "s\n" }, ann.path);
      await repo.gitIn(ann.path, "add", "both.txt", "staged.txt");
      repo.write({ "both.txt": "3\n", "README.md": "changed\n", "new.txt": "n\n" }, ann.path);
      const status = () => repo.gitIn(ann.path, "status", "--porcelain=v2", "--untracked-files=all");
      const [before, files] = [await status(), manifestOf(ann.path)];
      await bringBack((await save())?.place);
      expect(await status()).toBe(before);
      expect(manifestOf(ann.path)).toEqual(files);
      expect(await repo.git("fsck", "--strict")).toBe("");
    });

    test("has files that git was told to overlook", async () => {
      await repo.commit({ "local.conf": "1\n", "other.conf": "1\n" });
      await git.create(world, ann, {});
      await repo.gitIn(ann.path, "update-index", "--assume-unchanged", "local.conf");
      await repo.gitIn(ann.path, "update-index", "--skip-worktree", "other.conf");
      repo.write({ "local.conf": "2\n", "other.conf": "2\n" }, ann.path);
      await bringBack((await save())?.place);
      expect(repo.read("local.conf", ann.path) + repo.read("other.conf", ann.path)).toBe("2\n2\n");
    });

    test("of an unfinished rebase has the commits that the rebase began with", async () => {
      await git.create(world, ann, {});
      const mine = await repo.commit({ "README.md": "mine\n" }, "mine", ann.path);
      const theirs = await repo.commit({ "README.md": "theirs\n" });
      await repo.gitIn(ann.path, "rebase", "-q", theirs).catch(() => undefined);
      expect((await standing())?.underway).toBe("rebase");
      const saved = await save();
      expect(saved).toMatchObject({ commits: 1 });
      await bringBack(saved?.place);
      expect(await repo.git("cat-file", "-t", mine)).toBe("commit");
      expect(repo.read("README.md", ann.path)).toContain("<<<<<<<");
      expect(await git.describe(world, repo.root, saved?.place ?? "")).toContain("mine");
    });

    test("needs neither a name nor a hook, and is made when the folder is gone", async () => {
      await git.create(world, ann, {});
      const mine = await repo.commit({ "mine.txt": "m" }, "mine", ann.path);
      for (const name of ["pre-commit", "commit-msg", "reference-transaction", "post-index-change"])
        await hook(name, "exit 1");
      const {
        GIT_AUTHOR_NAME: _a,
        GIT_AUTHOR_EMAIL: _b,
        GIT_COMMITTER_NAME: _c,
        GIT_COMMITTER_EMAIL: _d,
        ...env
      } = world.env;
      world = { ...world, env };
      await repo.git("config", "user.useConfigOnly", "true");
      repo.write({ "new.txt": "n" }, ann.path);
      expect(await save()).toMatchObject({ commits: 1, files: 1 });
      rmSync(ann.path, { recursive: true });
      const saved = await save("w/ann/2");
      expect(saved).toMatchObject({ commits: 1, files: 0, commit: mine });
      expect(await git.listSaved(world, repo.root)).toHaveLength(2);
    });

    test("is made when the file that ties the folder to the repository is gone", async () => {
      await git.create(world, ann, {});
      repo.write({ "new.txt": "n" }, ann.path);
      rmSync(join(ann.path, ".git"));
      expect(await save()).toMatchObject({ files: 1 });
    });

    test("has what only the repositories inside have: a submodule, a clone, one without a commit", async () => {
      const library = await newRepository({ "lib.txt": "1\n" });
      try {
        await repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library.root, "vendor/lib");
        await repo.git("commit", "-qm", "library");
        await git.create(world, ann, {});
        const update = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init"];
        await repo.gitIn(ann.path, ...update);
        expect(await save("w/ann/0")).toBeNull();
        const sub = join(ann.path, "vendor/lib");
        await repo.gitIn(sub, "checkout", "-qb", "idea");
        const idea = await repo.commit({ "idea.txt": "i" }, "idea", sub);
        await repo.gitIn(sub, "checkout", "-q", "--detach", "main");
        const mine = await repo.commit({ "lib.txt": "2\n" }, "mine", sub);
        repo.write({ "lib.txt": "3\n", "new.txt": "n" }, sub);
        const clone = join(ann.path, "a clone");
        await repo.gitIn(ann.path, "clone", "-q", library.root, clone);
        repo.write({ "lib.txt": "4\n" }, clone);
        const young = join(ann.path, "young");
        await repo.gitIn(ann.path, "init", "-q", young);
        repo.write({ "first.txt": "f" }, young);
        expect((await git.snapshot(world, ann))?.dirty).toBe(true);
        const saved = await save();
        expect(await save()).toEqual(saved);
        await bringBack(saved?.place);
        expect(await repo.gitIn(sub, "rev-parse", "HEAD")).toBe(mine);
        expect(repo.read("lib.txt", sub) + repo.read("new.txt", sub)).toBe("3\nn");
        expect(await repo.gitIn(sub, "cat-file", "-t", idea)).toBe("commit");
        expect(await repo.gitIn(sub, "status", "--porcelain")).toBe(" M lib.txt\n?? new.txt");
        expect(repo.read("lib.txt", clone)).toBe("4\n");
        expect(repo.read("first.txt", young)).toBe("f");
        expect(await git.describe(world, repo.root, saved?.place ?? "")).toContain("vendor/lib");
        await git.remove(world, ann);
        await onlyMain();
      } finally {
        library.end();
      }
    });

    test("is never written over", async () => {
      await git.create(world, ann, {});
      repo.write({ "new.txt": "1" }, ann.path);
      const saved = await save();
      repo.write({ "new.txt": "2" }, ann.path);
      await expect(save()).rejects.toMatchObject({ code: "vcs.ref_taken" });
      expect(await git.listSaved(world, repo.root)).toMatchObject([{ commit: saved?.commit }]);
    });
  });

  describe("a refresh", () => {
    const conflicting = async () => {
      await git.create(world, ann, {});
      await repo.commit({ "mine.txt": "m" }, "first", ann.path);
      await repo.commit({ "README.md": "mine\n" }, "second", ann.path);
      return repo.commit({ "README.md": "theirs\n" });
    };

    test("that was killed in a conflict is undone by the next", async () => {
      const onto = await conflicting();
      const [before, was] = [manifestOf(ann.path), await standing()];
      const killed = git.refresh(
        worldWhere((args) => args.includes("--abort")),
        ann,
        onto,
      );
      await expect(killed).rejects.toThrow("killed here");
      expect((await standing())?.underway).toBe("rebase");
      expect(await git.refresh(world, ann, onto)).toMatchObject({ outcome: "conflict", conflicts: ["README.md"] });
      expect(manifestOf(ann.path)).toEqual(before);
      expect(await standing()).toEqual(was);
    });

    test("is undone also where the kill met git as it wrote: its lock goes, and a rebase that is torn", async () => {
      const onto = await conflicting();
      const before = manifestOf(ann.path);
      const killed = git.refresh(
        worldWhere((args) => args.includes("--abort")),
        ann,
        onto,
      );
      await expect(killed).rejects.toThrow("killed here");
      const gitDir = await repo.gitIn(ann.path, "rev-parse", "--absolute-git-dir");
      for (const name of ["head-name", "orig-head", "onto"]) rmSync(join(gitDir, "rebase-merge", name));
      writeFileSync(join(gitDir, "index.lock"), "half");
      expect(await git.refresh(world, ann, onto)).toMatchObject({ outcome: "conflict", conflicts: ["README.md"] });
      expect(manifestOf(ann.path)).toEqual(before);
    });

    test("that was killed at its end still knows where it began", async () => {
      await git.create(world, ann, {});
      const from = await repo.commit({ "mine.txt": "m" }, "mine", ann.path);
      const onto = await repo.commit({ "theirs.txt": "t" });
      let rebased = false;
      const killed = git.refresh(
        worldWhere((args) => {
          const isAfter = rebased;
          rebased ||= args.includes("rebase");
          return isAfter;
        }),
        ann,
        onto,
      );
      await expect(killed).rejects.toThrow("killed here");
      const again = await git.refresh(world, ann, onto);
      expect(again).toMatchObject({ outcome: "current", from, onto, replayed: [{ subject: "mine" }] });
    });

    test("leaves a rebase alone that somebody else began", async () => {
      const onto = await conflicting();
      await repo.gitIn(ann.path, "rebase", "-q", onto).catch(() => undefined);
      const before = manifestOf(ann.path);
      await expect(git.refresh(world, ann, onto)).rejects.toMatchObject({ code: "vcs.underway" });
      expect(manifestOf(ann.path)).toEqual(before);
    });

    test("tells which hook refused it, and changes nothing", async () => {
      await git.create(world, ann, {});
      await repo.commit({ "mine.txt": "m" }, "mine", ann.path);
      const onto = await repo.commit({ "theirs.txt": "t" });
      await hook("pre-rebase", "echo frozen >&2; exit 1");
      const was = await standing();
      const refused = git.refresh(world, ann, onto);
      await expect(refused).rejects.toMatchObject({ code: "vcs.hook_failed", details: { hook: "pre-rebase" } });
      await expect(refused).rejects.toThrow("frozen");
      expect(await standing()).toEqual(was);
    });

    test("asks for no signature and leaves landed commits out", async () => {
      await git.create(world, ann, {});
      const landed = await repo.commit({ "landed.txt": "l" }, "landed", ann.path);
      await repo.commit({ "mine.txt": "m" }, "mine", ann.path);
      await repo.commit({ "theirs.txt": "t" });
      await repo.git("cherry-pick", landed);
      await repo.git("config", "commit.gpgSign", "true");
      await repo.git("config", "gpg.program", "/bin/false");
      const onto = await repo.git("rev-parse", "main");
      const refreshed = await git.refresh(world, ann, onto);
      expect(refreshed).toMatchObject({ outcome: "refreshed", replayed: [{ subject: "mine" }] });
      expect(await repo.gitIn(ann.path, "branch", "--show-current")).toBe("");
    });

    test("names the lock that is in its way, and what to do", async () => {
      await git.create(world, ann, {});
      const onto = await repo.commit({ "theirs.txt": "t" });
      const lock = join(entry(), "index.lock");
      writeFileSync(lock, "");
      const refused = git.refresh(world, ann, onto);
      await expect(refused).rejects.toMatchObject({ code: "vcs.locked", exitCode: 5, details: { lock } });
      rmSync(lock);
      expect(await git.refresh(world, ann, onto)).toMatchObject({ outcome: "refreshed", head: onto });
    });
  });
});
