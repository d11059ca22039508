import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Checkout, Target, VcsBackend, VcsWorld } from "../../src/vcs/vcs.js";
import { fewOf, seed } from "../support/sample.js";
import { manifestOf, type Tree, trees, writeTree } from "../support/trees.js";

/** A project of a test's own, under the version control system at test. */
export interface Project {
  world: VcsWorld;
  /** A folder of this project's alone; workspaces and archives go in there, beside the root. */
  dir: string;
  root: string;
  /** Commits everything in `cwd` (the root or a checkout); on the root, the target moves. Gives the commit. */
  commit(cwd: string, message: string): Promise<string>;
  /** Stages everything in `cwd`, where the system has such a thing. */
  stage?(cwd: string): Promise<unknown>;
  end(): void;
}

export interface Contestant {
  backend: VcsBackend;
  /** False when the program is not on this machine: the stories are skipped, and say so. */
  available: boolean;
  /** False for a backend without commits (`none`). */
  history: boolean;
  /** A project with `README.md` (`hello\n`) committed, on the branch that work lands on. */
  newProject(): Promise<Project>;
}

/** The stories that every backend must live up to. */
export function describeBackend(name: string, { backend, available, history, newProject }: Contestant): void {
  const title = available ? `the ${name} backend` : `the ${name} backend (skipped: ${name} is not on this machine)`;
  describe.skipIf(!available)(title, () => {
    let project: Project;
    let checkout: Checkout;
    const withHistory = test.skipIf(!history);

    beforeEach(async () => {
      project = await newProject();
      checkout = { root: project.root, path: join(project.dir, "work spaces", "w", "ann") };
    });
    afterEach(() => project.end());

    const write = (cwd: string, files: Record<string, string>) => {
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(cwd, path)), { recursive: true });
        writeFileSync(join(cwd, path), text);
      }
    };
    const commit = async (cwd: string, files: Record<string, string>, message = "change") => {
      write(cwd, files);
      return project.commit(cwd, message);
    };
    const target = (): Promise<Target | null> => backend.target(project.world, project.root);
    const standing = async () => {
      const [found] = await backend.standings(project.world, project.root, [checkout.path], await target());
      return found;
    };
    const create = () => backend.create(project.world, checkout, {});
    const save = async (number = "w/ann/1") =>
      backend.save(project.world, checkout, {
        name: number,
        target: await target(),
        archives: join(project.dir, "archives"),
      });

    test("knows a folder in it, however deep, and gives the root", async () => {
      write(project.root, { "deep/er/file": "x" });
      const found = await backend.findRoot(project.world, join(project.root, history ? "deep/er" : ""));
      expect(found).toBe(project.root);
    });

    test("makes a checkout that holds what the target holds, on a path with spaces", async () => {
      const { base } = await create();
      expect(base).toBe((await target())?.commit ?? null);
      expect(readFileSync(join(checkout.path, "README.md"), "utf8")).toBe("hello\n");
      expect(await backend.head(project.world, checkout)).toBe(base);
    });

    test("leaves a finished checkout as it is when it is made again", async () => {
      const { base } = await create();
      write(checkout.path, { "mine.txt": "mine\n", "README.md": "changed\n" });
      const before = manifestOf(checkout.path);
      expect(await create()).toEqual({ base });
      expect(manifestOf(checkout.path)).toEqual(before);
    });

    test("removes a checkout, again too, and when its folder is gone, and makes it anew after that", async () => {
      await create();
      await backend.remove(project.world, checkout);
      expect(existsSync(checkout.path)).toBe(false);
      await backend.remove(project.world, checkout);
      await create();
      rmSync(checkout.path, { recursive: true, force: true });
      expect(await backend.head(project.world, checkout)).toBeUndefined();
      await backend.remove(project.world, checkout);
      await create();
      expect(manifestOf(checkout.path)).toEqual(manifestOf(project.root));
    });

    test("makes a checkout anew whose folder somebody deleted", async () => {
      await create();
      rmSync(checkout.path, { recursive: true, force: true });
      await create();
      expect(manifestOf(checkout.path)).toEqual(manifestOf(project.root));
    });

    withHistory("makes a checkout at an older commit, and refuses a ref that is not there", async () => {
      const first = (await target())?.commit ?? "";
      await commit(project.root, { "later.txt": "later\n" });
      expect(await backend.create(project.world, checkout, { from: first })).toEqual({ base: first });
      expect(existsSync(join(checkout.path, "later.txt"))).toBe(false);
      const other = { root: checkout.root, path: join(project.dir, "other") };
      const refused = backend.create(project.world, other, { from: "no-such-ref" });
      await expect(refused).rejects.toMatchObject({ code: "vcs.unknown_ref" });
      expect(existsSync(other.path)).toBe(false);
    });

    withHistory("tells how far a checkout is from its target, and that one is gone", async () => {
      await create();
      expect(await standing()).toMatchObject({ present: true, ahead: 0, behind: 0, dirty: 0, underway: null });
      await commit(checkout.path, { "one.txt": "1\n" });
      await commit(checkout.path, { "two.txt": "2\n" });
      await commit(project.root, { "theirs.txt": "t\n" });
      write(checkout.path, { "three.txt": "3\n", "README.md": "changed\n" });
      expect(await standing()).toMatchObject({ present: true, ahead: 2, behind: 1, dirty: 2 });
      rmSync(checkout.path, { recursive: true, force: true });
      expect(await standing()).toMatchObject({ present: false, head: null, ahead: null, behind: null, dirty: null });
    });

    withHistory("lists the checkout's own commits, oldest first", async () => {
      const { base } = await create();
      await commit(checkout.path, { "one.txt": "1\n" }, "one\n\nBecause.");
      const second = await commit(checkout.path, { "two.txt": "2\n" }, "two");
      const found = await backend.commits(project.world, checkout, base ?? "");
      expect(found.map(({ subject, body }) => [subject, body.trim()])).toEqual([
        ["one", "Because."],
        ["two", ""],
      ]);
      expect(found[1]?.sha).toBe(second);
      expect(Date.parse(found[0]?.authorDate ?? "")).toBeGreaterThan(0);
    });

    withHistory("shows a patch up to the work tree, files that are new to it included", async () => {
      const { base } = await create();
      await commit(checkout.path, { "one.txt": "committed\n" });
      write(checkout.path, { "new.txt": "untracked\n", "README.md": "changed\n" });
      const before = manifestOf(checkout.path);
      const patch = await backend.diff(project.world, checkout, base ?? "", {});
      for (const line of ["+committed", "+untracked", "-hello", "+changed"]) expect(patch).toContain(line);
      expect(await backend.diff(project.world, checkout, base ?? "", { stat: true })).toContain("new.txt");
      expect(manifestOf(checkout.path)).toEqual(before);
    });

    withHistory("puts the checkout's commits on a target that moved, and says so only once", async () => {
      await create();
      await commit(checkout.path, { "mine.txt": "mine\n" }, "mine");
      const onto = await commit(project.root, { "theirs.txt": "theirs\n" });
      const refreshed = await backend.refresh(project.world, checkout, onto);
      expect(refreshed).toMatchObject({ outcome: "refreshed", onto });
      expect("replayed" in refreshed && refreshed.replayed.map(({ subject }) => subject)).toEqual(["mine"]);
      expect(manifestOf(checkout.path)).toHaveProperty(["theirs.txt"]);
      expect(manifestOf(checkout.path)).toHaveProperty(["mine.txt"]);
      expect(await standing()).toMatchObject({ ahead: 1, behind: 0, dirty: 0, underway: null });
      expect(await backend.refresh(project.world, checkout, onto)).toMatchObject({ outcome: "current", onto });
    });

    withHistory("moves a checkout without commits of its own to the target", async () => {
      await create();
      const onto = await commit(project.root, { "theirs.txt": "theirs\n" });
      expect(await backend.refresh(project.world, checkout, onto)).toMatchObject({ outcome: "refreshed", head: onto });
      expect(await backend.head(project.world, checkout)).toBe(onto);
    });

    withHistory("names the files that conflict in a refresh, and leaves everything as it was", async () => {
      await create();
      await commit(checkout.path, { "mine.txt": "mine\n" });
      await commit(checkout.path, { "README.md": "mine\n" });
      const onto = await commit(project.root, { "README.md": "theirs\n" });
      const [before, was] = [manifestOf(checkout.path), await standing()];
      const refused = await backend.refresh(project.world, checkout, onto);
      expect(refused).toMatchObject({ outcome: "conflict", conflicts: ["README.md"], from: was?.head });
      expect(manifestOf(checkout.path)).toEqual(before);
      expect(await standing()).toEqual(was);
    });

    withHistory("refuses to refresh over uncommitted changes", async () => {
      await create();
      const onto = await commit(project.root, { "theirs.txt": "theirs\n" });
      write(checkout.path, { "README.md": "changed\n" });
      const refused = backend.refresh(project.world, checkout, onto);
      await expect(refused).rejects.toMatchObject({ code: "vcs.dirty" });
      expect(readFileSync(join(checkout.path, "README.md"), "utf8")).toBe("changed\n");
    });

    withHistory("takes a snapshot that leaves the checkout alone and knows whether it is dirty", async () => {
      await create();
      const clean = await backend.snapshot(project.world, checkout);
      expect(clean?.dirty ?? false).toBe(false);
      write(checkout.path, { "new.txt": "new\n" });
      const before = manifestOf(checkout.path);
      const dirty = await backend.snapshot(project.world, checkout);
      expect(dirty?.dirty ?? true).toBe(true);
      if (clean !== undefined) expect(dirty?.tree).not.toBe(clean.tree);
      expect(manifestOf(checkout.path)).toEqual(before);
      expect((await standing())?.dirty).toBe(1);
    });

    withHistory("has nothing to save in a checkout that is clean and landed", async () => {
      await create();
      expect(await save()).toBeNull();
      await commit(project.root, { "theirs.txt": "theirs\n" });
      expect(await save()).toBeNull();
    });

    withHistory("saves commits that are on no target, and brings them back", async () => {
      await create();
      const sha = await commit(checkout.path, { "mine.txt": "mine\n" }, "mine");
      const saved = await save();
      expect(saved).toMatchObject({ commits: 1, files: 0 });
      await backend.remove(project.world, checkout);
      await create();
      await backend.restore(project.world, checkout, saved?.place ?? "");
      expect(await standing()).toMatchObject({ ahead: 1, dirty: 0 });
      expect(await backend.head(project.world, checkout)).toBe(sha);
      expect(await backend.describe(project.world, project.root, saved?.place ?? "")).toContain("mine");
    });

    test("saves uncommitted files, tells what it holds, and never saves over another save", async () => {
      await create();
      write(checkout.path, { "new.txt": "new\n", "README.md": "changed\n" });
      const before = manifestOf(checkout.path);
      const saved = await save();
      expect(manifestOf(checkout.path)).toEqual(before);
      expect(saved).not.toBeNull();
      if (history) expect(saved).toMatchObject({ commits: 0, files: 2 });
      expect(await save()).toEqual(saved);
      expect(await backend.describe(project.world, project.root, saved?.place ?? "")).toContain("new.txt");
      const listed = await backend.listSaved(project.world, project.root);
      if (listed.length > 0) expect(listed).toMatchObject([{ name: "w/ann/1", place: saved?.place }]);
    });

    withHistory("refuses to bring a save back over uncommitted files", async () => {
      await create();
      write(checkout.path, { "new.txt": "new\n" });
      const saved = await save();
      const refused = backend.restore(project.world, checkout, saved?.place ?? "");
      await expect(refused).rejects.toMatchObject({ code: "vcs.dirty" });
    });

    test("is finished by running it again, wherever making, saving, removing or bringing back was killed", async () => {
      const from = { target: await target(), name: "", archives: join(project.dir, "archives") };
      let round = 0;
      const story = async (act: (world: VcsWorld) => Promise<unknown>) => {
        await killedEverywhere(project.world, act);
      };
      const at = (path: string): Checkout => ({ root: project.root, path: join(project.dir, path) });
      await story(async (world) => {
        checkout = at("made");
        await backend.create(world, checkout, {});
      });
      expect(manifestOf(checkout.path)).toEqual(manifestOf(project.root));
      await project.commit(project.root, "later");
      write(checkout.path, { "new.txt": "new\n", "README.md": "changed\n" });
      await project.stage?.(checkout.path);
      write(checkout.path, { "README.md": "changed again\n", "some where/else.txt": "" });
      const before = manifestOf(checkout.path);
      let place = "";
      await story(async (world) => {
        round += 1;
        place = (await backend.save(world, checkout, { ...from, name: `w/ann/${round}` }))?.place ?? "";
      });
      expect(manifestOf(checkout.path)).toEqual(before);
      await story((world) => backend.remove(world, checkout));
      expect(existsSync(checkout.path)).toBe(false);
      await create();
      await story((world) => backend.restore(world, checkout, place));
      expect(manifestOf(checkout.path)).toEqual(before);
    });

    withHistory("is finished by running it again, wherever a refresh was killed", async () => {
      await create();
      await commit(checkout.path, { "mine.txt": "mine\n" }, "mine");
      await commit(checkout.path, { "README.md": "mine\n" }, "mine too");
      const onto = await commit(project.root, { "theirs.txt": "theirs\n" });
      await killedEverywhere(project.world, (world) => backend.refresh(world, checkout, onto));
      expect(await standing()).toMatchObject({ ahead: 2, behind: 0, dirty: 0, underway: null });
      const [before, was] = [manifestOf(checkout.path), await standing()];
      const other = await commit(project.root, { "README.md": "theirs\n" });
      await killedEverywhere(project.world, async (world) => {
        expect(await backend.refresh(world, checkout, other)).toMatchObject({ outcome: "conflict" });
      });
      expect(manifestOf(checkout.path)).toEqual(before);
      expect((await standing())?.head).toBe(was?.head);
    });

    test("brings back every byte, mode, link and odd name of a checkout, whatever was done to it", async () => {
      let round = 0;
      const law = async (base: Tree, staged: Tree, left: Tree) => {
        round += 1;
        checkout = { root: project.root, path: join(project.dir, `round ${round}`) };
        await create();
        writeTree(checkout.path, base);
        if (history) await project.commit(checkout.path, `base ${round}`);
        writeTree(checkout.path, staged);
        await project.stage?.(checkout.path);
        writeTree(checkout.path, left);
        const [before, was] = [manifestOf(checkout.path), await standing()];
        const saved = await save(`w/ann/${round}`);
        expect(manifestOf(checkout.path)).toEqual(before);
        await backend.remove(project.world, checkout);
        await create();
        if (saved !== null) await backend.restore(project.world, checkout, saved.place);
        expect(manifestOf(checkout.path)).toEqual(before);
        expect(await standing()).toEqual(was);
        await backend.remove(project.world, checkout);
      };
      await fc.assert(fc.asyncProperty(trees, trees, trees, law), { numRuns: fewOf(4, 15), seed });
    });
  });
}

/**
 * Runs `act` again and again, ended before and after each program that it runs, or a third of those ends: nothing of it
 * goes on after that, as after a SIGKILL. The last run goes through.
 */
async function killedEverywhere(world: VcsWorld, act: (world: VcsWorld) => Promise<unknown>): Promise<void> {
  const stride = fewOf(3, 1);
  for (let step = seed % stride; step < 200; step += stride) {
    let die: () => void = () => undefined;
    const death = new Promise<"killed">((resolve) => {
      die = () => resolve("killed");
    });
    let left = step >> 1;
    const exec: VcsWorld["exec"] = async (...call) => {
      if (left < 0) return new Promise(() => undefined);
      left -= 1;
      const isLast = left < 0;
      const result = isLast && step % 2 === 0 ? undefined : await world.exec(...call);
      if (result !== undefined && !isLast) return result;
      die();
      return new Promise(() => undefined);
    };
    const ended = await Promise.race([act({ ...world, exec }).then(() => "done"), death]);
    if (ended === "done") return;
  }
  throw new Error("it never went through");
}
