import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { execProgram } from "../../src/exec.js";
import { jjBackend } from "../../src/vcs/jj.js";
import type { Checkout, Target, VcsWorld } from "../../src/vcs/vcs.js";
import { temporaryFolder } from "../support/database.js";
import { describeBackend } from "./conformance.js";

const here = spawnSync("jj", ["--version"]).status === 0;

describeBackend("jj", {
  backend: jjBackend,
  available: here,
  history: true,
  newProject: async () => {
    const { path, remove } = temporaryFolder();
    const dir = realpathSync(path);
    const root = join(dir, "the project");
    mkdirSync(root);
    const config = join(dir, "jj.toml");
    writeFileSync(config, '[user]\nname = "Ann"\nemail = "ann@example.org"\n');
    const env = { PATH: process.env["PATH"], HOME: dir, JJ_CONFIG: config };
    const jj = async (cwd: string, ...args: string[]) => {
      const words = ["--no-pager", "--color", "never", "--config", "snapshot.max-new-file-size=0", ...args];
      const { code, stdout, stderr } = await execProgram("jj", words, { cwd, env });
      if (code !== 0) throw new Error(`jj ${args.join(" ")} ended with ${code}: ${stderr}`);
      return stdout.trim();
    };
    const commit = async (cwd: string, message: string) => {
      await jj(cwd, "commit", "-m", message);
      if (cwd === root) await jj(root, "bookmark", "set", "main", "-r", "@-");
      return jj(cwd, "log", "--no-graph", "-r", "@-", "-T", "commit_id");
    };
    await jj(root, "git", "init");
    writeFileSync(join(root, "README.md"), "hello\n");
    await commit(root, "first");
    return { world: { exec: execProgram, env }, dir, root, commit, end: remove };
  },
});

describe.skipIf(!here)(`Jujutsu${here ? "" : " (skipped: there is no jj on this machine)"}`, () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let world: VcsWorld;
  let ann: Checkout;
  let bob: Checkout;
  let archives: string;

  const jj = async (cwd: string, ...args: string[]) => {
    const { code, stdout, stderr } = await execProgram("jj", ["--no-pager", "--color", "never", ...args], {
      cwd,
      env: world.env,
    });
    if (code !== 0) throw new Error(`jj ${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout.trim();
  };
  const put = (base: string, files: Readonly<Record<string, string>>) => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(base, path)), { recursive: true });
      writeFileSync(join(base, path), text);
    }
  };
  const read = (path: string) => readFileSync(path, "utf8");
  const target = async () => (await jjBackend.target(world, ann.root)) as Target;
  const save = async (name = "demo/ann/1") => jjBackend.save(world, ann, { name, target: await target(), archives });
  const standing = async ({ root, path }: Checkout) =>
    (await jjBackend.standings(world, root, [path], await target()))[0];
  /** A commit on main, by somebody in the main workspace. */
  const onMain = async (files: Readonly<Record<string, string>>) => {
    put(ann.root, files);
    await jj(ann.root, "commit", "-m", "on main");
    await jj(ann.root, "bookmark", "set", "main", "-r", "@-");
  };

  beforeEach(async () => {
    folder = temporaryFolder();
    const root = join(folder.path, "the project");
    mkdirSync(root);
    const config = join(folder.path, "jj.toml");
    writeFileSync(config, '[user]\nname = "Ann"\nemail = "ann@example.org"\n');
    world = { exec: execProgram, env: { PATH: process.env["PATH"], HOME: folder.path, JJ_CONFIG: config } };
    const at = (agent: string) => ({ root, path: join(folder.path, "state", "workspaces", "demo", agent) });
    [ann, bob, archives] = [at("ann"), at("bob"), join(folder.path, "state", "salvage")];
    await jj(root, "git", "init");
    await onMain({ "a.txt": "a\n", ".gitignore": "ignored\n" });
    await jjBackend.create(world, ann, {});
  }, 60_000);
  afterEach(() => folder.remove());

  it("finds the repository from anywhere in it, and from its workspaces", async () => {
    mkdirSync(join(ann.root, "deep", "er"), { recursive: true });
    for (const at of [ann.root, join(ann.root, "deep", "er"), ann.path])
      expect(await jjBackend.findRoot(world, at)).toBe(ann.root);
    expect(await jjBackend.findRoot(world, folder.path)).toBeUndefined();
  });

  it("makes workspaces at the target or at a wish, again over half of one, and takes them away, twice", async () => {
    const { commit, branch } = await target();
    expect(branch).toBe("main");
    expect(await jjBackend.create(world, bob, { from: "main" })).toEqual({ base: commit });
    // As after a kill in the middle of it.
    rmSync(join(bob.path, "a.txt"));
    rmSync(join(bob.path, ".jj", "mu-base"));
    expect(await jjBackend.create(world, bob, {})).toEqual({ base: commit });
    expect(read(join(bob.path, "a.txt"))).toBe("a\n");
    expect(await jjBackend.head(world, bob)).toBe(commit);
    await jjBackend.remove(world, bob);
    await jjBackend.remove(world, bob);
    expect(existsSync(bob.path)).toBe(false);
    await jj(folder.path, "git", "init", bob.path);
    await expect(jjBackend.create(world, bob, {})).rejects.toMatchObject({ code: "vcs.path_taken" });
    rmSync(bob.path, { recursive: true });
    expect(await jj(ann.root, "workspace", "list")).not.toContain("bob");
    await expect(jjBackend.create(world, bob, { from: "nosuch" })).rejects.toMatchObject({ code: "vcs.unknown_ref" });
    expect(existsSync(bob.path)).toBe(false);
  });

  it("says how far a workspace is, and counts undescribed work as uncommitted", async () => {
    put(ann.path, { "b.txt": "b\n", ignored: "x" });
    expect(await standing(ann)).toMatchObject({ present: true, behind: 0, ahead: 0, dirty: 1 });
    await jj(ann.path, "commit", "-m", "b\n\nwhy");
    put(ann.path, { "c.txt": "c\n" });
    await jj(ann.path, "describe", "-m", "c");
    await onMain({ "m.txt": "m\n" });
    expect(await standing(ann)).toMatchObject({ behind: 1, ahead: 2, dirty: 0 });
    const commits = await jjBackend.commits(world, ann, (await target()).commit);
    expect(commits.map(({ subject, body, author }) => [subject, body, author])).toEqual([
      ["b", "why", "Ann <ann@example.org>"],
      ["c", "", "Ann <ann@example.org>"],
    ]);
    expect(await jjBackend.diff(world, ann, (await target()).commit, {})).toContain("+++ b/b.txt");
    expect(await standing(bob)).toMatchObject({ present: false });
  });

  it("saves commits and files of any size, keeps them without the workspace, and brings them back", async () => {
    expect(await save()).toBeNull();
    put(ann.path, { "b.txt": "b\n" });
    await jj(ann.path, "commit", "-m", "b");
    const large = "x".repeat(3_000_000);
    put(ann.path, { large, "a.txt": "changed\n" });
    const saved = await save();
    expect(saved).toMatchObject({ place: "mu/salvage/demo/ann/1", commits: 1, files: 2 });
    await jjBackend.remove(world, ann);
    await jj(ann.root, "util", "gc", "--expire=now");
    expect(await jjBackend.listSaved(world, ann.root)).toMatchObject([{ name: "demo/ann/1", commit: saved?.commit }]);
    expect(await jjBackend.describe(world, ann.root, "mu/salvage/demo/ann/1")).toContain("large");

    await jjBackend.create(world, ann, {});
    await jjBackend.restore(world, ann, "mu/salvage/demo/ann/1");
    expect([read(join(ann.path, "large")), read(join(ann.path, "a.txt"))]).toEqual([large, "changed\n"]);
    expect(await standing(ann)).toMatchObject({ ahead: 1, dirty: 2 });
    await expect(jjBackend.restore(world, ann, "mu/salvage/demo/ann/1")).rejects.toMatchObject({ code: "vcs.dirty" });
  });

  it("puts a workspace's commits on what main became", async () => {
    put(ann.path, { "b.txt": "b\n" });
    await jj(ann.path, "commit", "-m", "b");
    await onMain({ "m.txt": "m\n" });
    const { commit } = await target();
    const done = await jjBackend.refresh(world, ann, commit);
    expect(done).toMatchObject({ outcome: "refreshed", replayed: [{ subject: "b" }] });
    expect(read(join(ann.path, "m.txt"))).toBe("m\n");
    expect(await jjBackend.refresh(world, ann, commit)).toMatchObject({ outcome: "current" });
    put(ann.path, { "b.txt": "more\n" });
    await onMain({ "m.txt": "mm\n" });
    await expect(jjBackend.refresh(world, ann, (await target()).commit)).rejects.toMatchObject({ code: "vcs.dirty" });
  });

  it("leaves everything as it was when main and a workspace collide", async () => {
    put(ann.path, { "a.txt": "ann\n" });
    await jj(ann.path, "commit", "-m", "ann");
    const before = await jjBackend.head(world, ann);
    await onMain({ "a.txt": "main\n" });
    const { commit } = await target();
    expect(await jjBackend.refresh(world, ann, commit)).toMatchObject({ outcome: "conflict", conflicts: ["a.txt"] });
    expect(await jjBackend.head(world, ann)).toBe(before);
    expect(read(join(ann.path, "a.txt"))).toBe("ann\n");
    expect((await target()).commit).toBe(commit);
    expect(await standing(ann)).toMatchObject({ behind: 1, ahead: 1, dirty: 0 });
  });
});
