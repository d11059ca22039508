import { existsSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../../errors.js";
import type { VcsWorld } from "../vcs.js";
import { type Changes, isLink } from "./changes.js";
import { fetchCommit } from "./nested.js";
import { findCommit, gitEntries, NO_HOOKS, runGit } from "./run.js";
import { workTrees } from "./worktree.js";

/** A submodule in a tree. */
interface Link {
  path: string;
  commit: string;
}

/**
 * Gives a scratch checkout the submodules of the commit that it is at, as far as the project folder `root` has them.
 * Clones from there, so that no network is needed. Faults `vcs.*`.
 */
export async function fillSubmodules(world: VcsWorld, root: string, path: string, commit: string): Promise<void> {
  for (const link of await linksIn(world, path, commit)) {
    const [source, copy] = [join(root, link.path), join(path, link.path)];
    if (!isRepository(source)) continue;
    const clone = ["clone", "--quiet", "--shared", "--no-checkout", source, copy];
    if (!isRepository(copy)) await runGit(world, root, [...NO_HOOKS, ...clone]);
    await bringCommit(world, root, link, copy);
    await runGit(world, copy, [...NO_HOOKS, "checkout", "--quiet", "--detach", "--force", link.commit]);
    await runGit(world, copy, ["clean", "-qffd"]);
    await fillSubmodules(world, source, copy, link.commit);
  }
}

/**
 * Moves the submodules of a checkout with it: those that were at the old commit's state and have no changes. One that
 * cannot be moved stays behind, which is no change of the user's.
 */
export async function moveSubmodules(world: VcsWorld, path: string, changes: Changes): Promise<void> {
  for (const { path: name, before, after } of changes) {
    const folder = join(path, name);
    if (!isLink(before) || !isLink(after) || !isRepository(folder)) continue;
    const [last, commit = ""] = [before, after].map((entry) => entry?.split(" ")[1]);
    if ((await findCommit(world, folder, "HEAD")) !== last) continue;
    if ((await gitEntries(world, folder, ["status", "--porcelain", "-z"])).length > 0) continue;
    try {
      await bringCommit(world, path, { path: name, commit }, folder);
      await runGit(world, folder, ["checkout", "--quiet", "--detach", commit], { locks: true });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
    }
  }
}

const isRepository = (folder: string) => existsSync(join(folder, ".git"));

async function linksIn(world: VcsWorld, path: string, commit: string): Promise<Link[]> {
  const lines = await gitEntries(world, path, ["ls-tree", "-r", "-z", "--full-tree", commit]);
  return lines.flatMap((line) => {
    const [, found = "", name = ""] = /^160000 commit (\w+)\t(.*)$/s.exec(line) ?? [];
    return found === "" ? [] : [{ path: name, commit: found }];
  });
}

/** Fetches the submodule's commit from a worktree of the outer repository that has it, else from its own remote. */
async function bringCommit(world: VcsWorld, root: string, { path, commit }: Link, into: string): Promise<void> {
  if ((await findCommit(world, into, commit)) !== undefined) return;
  const trees = (await workTrees(world, root)).map((tree) => join(tree.path, path));
  for (const tree of trees.filter(isRepository)) {
    if ((await findCommit(world, tree, commit)) !== undefined) return fetchCommit(world, into, tree, commit);
  }
  await runGit(world, into, ["fetch", "--quiet", "origin", commit]);
}
