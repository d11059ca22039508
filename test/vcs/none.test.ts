import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Exec, execProgram } from "../../src/exec.js";
import { copyFolder } from "../../src/vcs/folders.js";
import { unpackArchive } from "../../src/vcs/none/archive.js";
import { noneBackend } from "../../src/vcs/none/none.js";
import type { Checkout, VcsWorld } from "../../src/vcs/vcs.js";
import { temporaryFolder } from "../support/database.js";
import { fewOf, seed } from "../support/sample.js";
import { describeBackend } from "./conformance.js";

describeBackend("none", {
  backend: noneBackend,
  available: true,
  history: false,
  newProject: async () => {
    const { path, remove } = temporaryFolder();
    const dir = realpathSync(path);
    const root = join(dir, "the project");
    put(root, { "README.md": "hello\n" });
    const env = { PATH: process.env["PATH"], HOME: join(dir, "home") };
    return { world: { exec: execProgram, env }, dir, root, commit: async () => "", end: remove };
  },
});

let folder: ReturnType<typeof temporaryFolder>;
let world: VcsWorld;
let checkout: Checkout;
let archives: string;

const LONG_AGO = new Date("2020-02-02T02:02:02Z");

beforeEach(() => {
  folder = temporaryFolder();
  const home = join(folder.path, "home");
  mkdirSync(home);
  world = { exec: execProgram, env: { PATH: process.env["PATH"], HOME: home } };
  const root = join(folder.path, "the project");
  checkout = { root, path: join(folder.path, "state", "workspaces", "demo", "ann") };
  archives = join(folder.path, "state", "salvage");
  put(root, {
    "a.txt": "a\n",
    "src/b.ts": "b\n",
    "src/deep/c.ts": "c\n",
    ".env": "SECRET=1\n",
    "run.sh": "#!/bin/sh\n",
  });
  chmodSync(join(root, "run.sh"), 0o750);
  mkdirSync(join(root, "empty"));
  symlinkSync("../a.txt", join(root, "src", "link"));
  symlinkSync("/nowhere/at/all", join(root, "dangling"));
  utimesSync(join(root, "a.txt"), LONG_AGO, LONG_AGO);
});
afterEach(() => folder.remove());

function put(base: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(base, path)), { recursive: true });
    writeFileSync(join(base, path), text);
  }
}

/** Everything below a folder: kind, permissions and content by path. */
function contents(base: string, below = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(join(base, below)).sort()) {
    const path = join(below, name);
    const stat = lstatSync(join(base, path));
    if (stat.isSymbolicLink()) found[path] = `-> ${readlinkSync(join(base, path))}`;
    else if (stat.isDirectory()) Object.assign(found, { [`${path}/`]: "" }, contents(base, path));
    else found[path] = `${(stat.mode & 0o777).toString(8)} ${readFileSync(join(base, path), "utf8")}`;
  }
  return found;
}

const save = (name = "demo/ann/1") => noneBackend.save(world, checkout, { name, target: null, archives });
const make = () => noneBackend.create(world, checkout, {});

/** A cp that does its work and then says that the disk is full, or something else. */
const failing =
  (says: string): Exec =>
  async (file, args, options) => {
    const result = await execProgram(file, args, options);
    return file === "cp" ? { ...result, code: 1, stderr: says } : result;
  };

describe("a copy of a folder", () => {
  it("has everything: hidden files, modes, times, symlinks as they are, empty folders", async () => {
    expect(await make()).toEqual({ base: null });
    expect(contents(checkout.path)).toEqual(contents(checkout.root));
    expect(statSync(join(checkout.path, "a.txt")).mtime).toEqual(LONG_AGO);
    expect(readdirSync(dirname(checkout.path)).filter((name) => !name.startsWith("."))).toEqual(["ann"]);
  });

  it("is made again without a change, and what was written into it meanwhile stays", async () => {
    await make();
    put(checkout.path, { "new.txt": "mine" });
    await make();
    expect(readFileSync(join(checkout.path, "new.txt"), "utf8")).toBe("mine");
  });

  it("is finished by the same verb when a kill left half of it", async () => {
    const draft = join(dirname(checkout.path), ".ann.draft");
    put(draft, { "a.txt": "half", "left over": "x" });
    await make();
    expect(contents(checkout.path)).toEqual(contents(checkout.root));
    expect(existsSync(draft)).toBe(false);
  });

  it("leaves nothing when the disk is full", async () => {
    world = { ...world, exec: failing("cp: error writing 'x': No space left on device\n") };
    await expect(make()).rejects.toMatchObject({ code: "vcs.no_space", kind: "unavailable" });
    expect(readdirSync(dirname(checkout.path))).toEqual([]);
  });

  it("does not fall over a file that vanished while it was copied, but over one that is there", async () => {
    const gone = `cp: cannot stat '${join(checkout.root, "vanished")}': No such file or directory\n`;
    await noneBackend.create({ ...world, exec: failing(gone) }, checkout, {});
    const there = `cp: cannot open '${join(checkout.root, "a.txt")}' for reading: Permission denied\n`;
    const other = { ...checkout, path: `${checkout.path}2` };
    await expect(noneBackend.create({ ...world, exec: failing(there) }, other, {})).rejects.toMatchObject({
      code: "vcs.failed",
      message: expect.stringContaining("Permission denied"),
    });
    expect(existsSync(other.path)).toBe(false);
  });

  it("is made by a cp that knows no way to clone", async () => {
    const tried: string[] = [];
    const exec: Exec = async (file, args, options) => {
      if (file === "cp") tried.push(args.slice(0, args.indexOf("--")).join(" "));
      const old = args.some((arg) => arg.startsWith("--reflink") || arg === "-c");
      return old
        ? { code: 64, stdout: "", stderr: "cp: illegal option -- -\nusage: cp …", timedOut: false }
        : execProgram(file, args, options);
    };
    const to = join(folder.path, "elsewhere");
    await copyFolder({ ...world, exec }, checkout.root, to);
    expect(tried).toEqual(["-a --reflink=auto", "-c -p -P -R", "-p -P -R"]);
    expect(contents(to)).toEqual(contents(checkout.root));
  });

  it("is not made of the home directory, of what holds it, of /, or of what holds the copy", async () => {
    const home = join(folder.path, "home");
    const at = (root: string) => noneBackend.create(world, { ...checkout, root }, {});
    await expect(at(home)).rejects.toMatchObject({ code: "vcs.home_as_root" });
    await expect(at("/")).rejects.toMatchObject({ code: "vcs.home_as_root" });
    await expect(at(folder.path)).rejects.toMatchObject({ code: "vcs.home_as_root" });
    symlinkSync(home, join(folder.path, "alias"));
    await expect(at(join(folder.path, "alias"))).rejects.toMatchObject({ code: "vcs.home_as_root" });
    const inside = { root: checkout.root, path: join(checkout.root, ".mu", "workspaces", "demo", "ann") };
    await expect(noneBackend.create(world, inside, {})).rejects.toMatchObject({ code: "vcs.copy_into_itself" });
    await expect(at(join(folder.path, "not there"))).rejects.toMatchObject({ code: "vcs.no_folder" });
  });

  it("is not put over a folder of somebody else's", async () => {
    put(checkout.path, { precious: "x" });
    await expect(make()).rejects.toMatchObject({ code: "vcs.path_taken" });
    expect(readFileSync(join(checkout.path, "precious"), "utf8")).toBe("x");
  });

  it("goes with everything that belongs to it, folders without write permission too, and twice", async () => {
    mkdirSync(join(checkout.root, "locked"));
    put(checkout.root, { "locked/file": "x" });
    chmodSync(join(checkout.root, "locked"), 0o500);
    await make();
    await noneBackend.remove(world, checkout);
    await noneBackend.remove(world, checkout);
    expect(readdirSync(dirname(checkout.path))).toEqual([]);
    chmodSync(join(checkout.root, "locked"), 0o700);
  });
});

describe("how a copy stands", () => {
  it("counts what differs from the folder, and nothing that does not", async () => {
    await make();
    const dirty = async () => (await noneBackend.standings(world, checkout.root, [checkout.path], null))[0]?.dirty;
    expect(await dirty()).toBe(0);
    utimesSync(join(checkout.path, "a.txt"), new Date(), new Date());
    expect(await dirty()).toBe(0);
    put(checkout.path, { "a.txt": "b\n", "new/one": "1" });
    rmSync(join(checkout.path, ".env"));
    expect(await dirty()).toBe(3);
  });

  it("is known of a copy that is gone, and of one whose folder is gone", async () => {
    await make();
    rmSync(checkout.root, { recursive: true });
    const [here, gone] = await noneBackend.standings(world, checkout.root, [checkout.path, "/not/there"], null);
    expect(here).toMatchObject({ present: true, dirty: null, head: null, behind: null, ahead: null });
    expect(gone).toMatchObject({ present: false, dirty: null });
    expect(await noneBackend.head(world, checkout)).toBeNull();
    expect(await noneBackend.head(world, { ...checkout, path: "/not/there" })).toBeUndefined();
  });

  it("has no commits, and says what is needed for them", async () => {
    await make();
    for (const asked of [
      () => noneBackend.commits(world, checkout, "HEAD"),
      () => noneBackend.diff(world, checkout, "HEAD", {}),
      () => noneBackend.refresh(world, checkout, "HEAD"),
    ])
      await expect(asked()).rejects.toMatchObject({ code: "vcs.required" });
    expect(await noneBackend.target(world, checkout.root)).toBeNull();
    expect(await noneBackend.snapshot(world, checkout)).toBeUndefined();
  });
});

describe("what is saved of a copy", () => {
  it("is nothing when it is as the folder is", async () => {
    await make();
    expect(await save()).toBeNull();
    expect(existsSync(archives)).toBe(false);
  });

  it("comes back into a fresh copy: changed, added, deleted, and files that became folders or symlinks", async () => {
    await make();
    put(checkout.path, { "a.txt": "changed\n", "new dir/ü\n.txt": "new", "-rf": "a name like an option" });
    rmSync(join(checkout.path, ".env"));
    rmSync(join(checkout.path, "src"), { recursive: true });
    writeFileSync(join(checkout.path, "src"), "a file now");
    rmSync(join(checkout.path, "run.sh"));
    put(checkout.path, { "run.sh/inside": "a folder now" });
    mkdirSync(join(checkout.path, "hollow"));
    const before = contents(checkout.path);

    const saved = await save();
    expect(saved).toMatchObject({ place: join(archives, "demo/ann/1.tar"), commit: null, commits: 0, files: 7 });
    expect(statSync(saved?.place ?? "").mode & 0o777).toBe(0o600);
    expect(readdirSync(join(archives, "demo/ann"))).toEqual(["1.tar"]);
    expect(await noneBackend.describe(world, checkout.root, saved?.place ?? "")).toContain("a.txt");

    await noneBackend.remove(world, checkout);
    await make();
    await noneBackend.restore(world, checkout, saved?.place ?? "");
    expect(contents(checkout.path)).toEqual(before);
  });

  it("finds a change that hides behind the same size and the same time", async () => {
    await make();
    put(checkout.path, { "a.txt": "z\n" });
    utimesSync(join(checkout.path, "a.txt"), LONG_AGO, LONG_AGO);
    expect(await save()).toMatchObject({ files: 1 });
  });

  it("is the save of that name when nothing changed since, and never written over it", async () => {
    await make();
    put(checkout.path, { "new.txt": "one\n" });
    const saved = await save();
    expect(await save()).toEqual(saved);
    put(checkout.path, { "new.txt": "two\n" });
    await expect(save()).rejects.toMatchObject({ code: "vcs.ref_taken" });
  });

  it("is not put over other changes", async () => {
    await make();
    put(checkout.path, { "a.txt": "changed\n" });
    const place = (await save())?.place ?? "";
    await expect(noneBackend.restore(world, checkout, place)).rejects.toMatchObject({ code: "vcs.dirty" });
  });

  it("is all of it when the folder that it was made of is gone, or nobody knows which that was", async () => {
    await make();
    expect(await noneBackend.findRoot(world, join(checkout.path, "src"))).toBe(checkout.root);
    const before = contents(checkout.path);
    rmSync(join(dirname(checkout.path), ".ann.copied"));
    expect(await noneBackend.findRoot(world, checkout.path)).toBe(realpathSync(checkout.path));
    for (const [n, root] of [checkout.path, join(folder.path, "gone")].entries()) {
      const saved = await noneBackend.save(
        world,
        { ...checkout, root },
        { name: `demo/x/${n}`, target: null, archives },
      );
      const to = join(folder.path, "unpacked");
      mkdirSync(to);
      await unpackArchive(world, saved?.place ?? "", to);
      expect(contents(to)).toEqual(before);
      rmSync(to, { recursive: true });
    }
  });

  it("is told from what is no archive", async () => {
    await make();
    const asked = noneBackend.restore(world, checkout, join(archives, "none.tar"));
    await expect(asked).rejects.toMatchObject({ code: "vcs.no_save" });
  });

  it("brings any edits back", async () => {
    const names = fc.constantFrom("a.txt", "src/b.ts", "src/deep/c.ts", ".env", "x/y/z", "x/w", "empty/n");
    const edit = fc.record({ name: names, text: fc.option(fc.string({ maxLength: 5 })) });
    let n = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { maxLength: 6 }), async (edits) => {
        await noneBackend.remove(world, checkout);
        await make();
        for (const { name, text } of edits) {
          if (text === null) rmSync(join(checkout.path, name), { force: true });
          else put(checkout.path, { [name]: text });
        }
        const before = contents(checkout.path);
        const saved = await save(`demo/ann/${++n}`);
        await noneBackend.remove(world, checkout);
        await make();
        if (saved !== null) await noneBackend.restore(world, checkout, saved.place);
        expect(contents(checkout.path)).toEqual(before);
      }),
      { numRuns: fewOf(5, 15), seed },
    );
  });
});
