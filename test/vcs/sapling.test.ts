import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { execProgram } from "../../src/exec.js";
import { saplingBackend } from "../../src/vcs/sapling.js";
import type { Checkout, Target, VcsWorld } from "../../src/vcs/vcs.js";
import { temporaryFolder } from "../support/database.js";
import { describeBackend } from "./conformance.js";

// There is another well-known program of this name, which is a train.
const here = /sapling/i.test(spawnSync("sl", ["version"], { encoding: "utf8", timeout: 10_000 }).stdout ?? "");

describeBackend("sl", {
  backend: saplingBackend,
  available: here,
  history: true,
  newProject: async () => {
    const { path, remove } = temporaryFolder();
    const dir = realpathSync(path);
    const root = join(dir, "the project");
    const env = { PATH: process.env["PATH"], HOME: dir, SL_AUTOMATION: "1", HGUSER: "Ann <ann@example.org>" };
    const sl = async (cwd: string, ...args: string[]) => {
      const { code, stdout, stderr } = await execProgram("sl", args, { cwd, env });
      if (code !== 0) throw new Error(`sl ${args.join(" ")} ended with ${code}: ${stderr}`);
      return stdout.trim();
    };
    const commit = async (cwd: string, message: string) => {
      await sl(cwd, "commit", "--addremove", "-m", message);
      return sl(cwd, "log", "-r", ".", "-T", "{node}");
    };
    await sl(dir, "init", "--git", root);
    await sl(root, "bookmark", "main");
    writeFileSync(join(root, "README.md"), "hello\n");
    await commit(root, "first");
    return { world: { exec: execProgram, env }, dir, root, commit, end: remove };
  },
});

describe("Sapling, without its program", () => {
  it("finds the repository of a folder, of a share, and none", async () => {
    const folder = temporaryFolder();
    const root = join(folder.path, "project");
    const share = join(folder.path, "share");
    mkdirSync(join(root, ".sl"), { recursive: true });
    mkdirSync(join(root, "deep"));
    mkdirSync(join(share, ".sl"), { recursive: true });
    writeFileSync(join(share, ".sl", "sharedpath"), join(root, ".sl"));
    const world: VcsWorld = { exec: execProgram, env: {} };
    expect(await saplingBackend.findRoot(world, join(root, "deep"))).toBe(root);
    expect(await saplingBackend.findRoot(world, share)).toBe(root);
    expect(await saplingBackend.findRoot(world, folder.path)).toBeUndefined();
    folder.remove();
  });

  it("says that sl is not there", async () => {
    const folder = temporaryFolder();
    const world: VcsWorld = { exec: execProgram, env: { PATH: folder.path } };
    await expect(saplingBackend.target(world, folder.path)).rejects.toMatchObject({ code: "vcs.not_installed" });
    folder.remove();
  });
});

describe.skipIf(!here)(`Sapling${here ? "" : " (skipped: there is no sl on this machine)"}`, () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let world: VcsWorld;
  let ann: Checkout;
  let archives: string;

  const sl = async (cwd: string, ...args: string[]) => {
    const { code, stdout, stderr } = await execProgram("sl", args, { cwd, env: world.env });
    if (code !== 0) throw new Error(`sl ${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout.trim();
  };
  const target = async () => (await saplingBackend.target(world, ann.root)) as Target;
  const standing = async () => (await saplingBackend.standings(world, ann.root, [ann.path], await target()))[0];
  const onMain = async (name: string, text: string) => {
    writeFileSync(join(ann.root, name), text);
    await sl(ann.root, "commit", "--addremove", "-m", "on main");
  };

  beforeEach(async () => {
    folder = temporaryFolder();
    const root = join(folder.path, "the project");
    world = {
      exec: execProgram,
      env: { PATH: process.env["PATH"], HOME: folder.path, SL_AUTOMATION: "1", HGUSER: "Ann <ann@example.org>" },
    };
    ann = { root, path: join(folder.path, "state", "workspaces", "demo", "ann") };
    archives = join(folder.path, "state", "salvage");
    await sl(folder.path, "init", "--git", root);
    await sl(root, "bookmark", "main");
    await onMain("a.txt", "a\n");
    await saplingBackend.create(world, ann, {});
  }, 60_000);
  afterEach(() => folder.remove());

  it("saves commits and uncommitted files, leaves the work tree as it was, and brings them back", async () => {
    writeFileSync(join(ann.path, "b.txt"), "b\n");
    await sl(ann.path, "commit", "--addremove", "-m", "b");
    writeFileSync(join(ann.path, "c.txt"), "c\n");
    const saved = await saplingBackend.save(world, ann, { name: "demo/ann/1", target: await target(), archives });
    expect(saved).toMatchObject({ place: "mu/salvage/demo/ann/1", commits: 1, files: 1 });
    expect(await standing()).toMatchObject({ ahead: 1, dirty: 1 });
    await saplingBackend.remove(world, ann);
    expect(existsSync(ann.path)).toBe(false);
    expect(await saplingBackend.listSaved(world, ann.root)).toMatchObject([{ name: "demo/ann/1" }]);
    await saplingBackend.create(world, ann, {});
    await saplingBackend.restore(world, ann, "mu/salvage/demo/ann/1");
    expect(readFileSync(join(ann.path, "c.txt"), "utf8")).toBe("c\n");
    expect(await standing()).toMatchObject({ ahead: 1, dirty: 1 });
  });

  it("puts commits on what main became, and leaves all as it was when they collide", async () => {
    writeFileSync(join(ann.path, "b.txt"), "b\n");
    await sl(ann.path, "commit", "--addremove", "-m", "b");
    await onMain("m.txt", "m\n");
    const { commit } = await target();
    expect(await saplingBackend.refresh(world, ann, commit)).toMatchObject({ outcome: "refreshed" });
    writeFileSync(join(ann.path, "a.txt"), "ann\n");
    await sl(ann.path, "commit", "-m", "a");
    const before = await saplingBackend.head(world, ann);
    await onMain("a.txt", "main\n");
    const collided = await saplingBackend.refresh(world, ann, (await target()).commit);
    expect(collided).toMatchObject({ outcome: "conflict", conflicts: ["a.txt"] });
    expect(await saplingBackend.head(world, ann)).toBe(before);
  });
});
