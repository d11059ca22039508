import { existsSync } from "node:fs";
import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { VcsWorld } from "../vcs.js";
import { findGitDir } from "./places.js";
import { runGit } from "./run.js";

/** Why a branch cannot be moved now: the checkout that has it is somebody's work in progress. */
export interface Obstacle {
  /** The checkout. */
  path: string;
  /** Files changed and not committed, or in the way. */
  files: string[];
  /** What somebody began there and did not end, such as a rebase. */
  underway: string | null;
}

/** One work tree of a repository. */
interface WorkTree {
  path: string;
  head: string | null;
  /** The full name of the branch that it has; null when it is detached. */
  branch: string | null;
}

/** The checkout that has the branch, and whatever else keeps the branch from being moved. */
export interface BranchPlace {
  checkout: WorkTree | undefined;
  /** A checkout that left the branch to rebase or bisect it, and will come back to it. */
  held: Obstacle | undefined;
}

/** Where a branch is in use. A work tree whose folder is gone does not count. */
export async function placeOfBranch(world: VcsWorld, root: string, branch: string): Promise<BranchPlace> {
  const trees = await workTrees(world, root);
  const checkout = trees.find((tree) => tree.branch === `refs/heads/${branch}`);
  const detached = trees.filter((tree) => tree.branch === null);
  const held = await Promise.all(detached.map((tree) => holding(tree, branch)));
  return { checkout, held: held.find((obstacle) => obstacle !== undefined) };
}

async function workTrees(world: VcsWorld, root: string): Promise<WorkTree[]> {
  const { stdout } = await runGit(world, root, ["worktree", "list", "--porcelain", "-z"]);
  const blocks = stdout.split("\0\0").filter((block) => block !== "");
  return blocks.flatMap((block) => {
    const fields = new Map(block.split("\0").map((line) => split(line)));
    const path = fields.get("worktree") ?? "";
    if (fields.has("bare") || fields.has("prunable") || !existsSync(path)) return [];
    return [{ path, head: fields.get("HEAD") ?? null, branch: fields.get("branch") ?? null }];
  });
}

function split(line: string): [string, string] {
  const space = line.indexOf(" ");
  return space < 0 ? [line, ""] : [line.slice(0, space), line.slice(space + 1)];
}

/** What git keeps of things begun and not ended, and what they are called. */
const UNDERWAY: readonly (readonly [file: string, name: string])[] = [
  ["rebase-merge", "rebase"],
  ["rebase-apply", "rebase"],
  ["MERGE_HEAD", "merge"],
  ["CHERRY_PICK_HEAD", "cherry-pick"],
  ["REVERT_HEAD", "revert"],
  ["BISECT_START", "bisect"],
];

/** The files that hold the name of the branch that somebody will come back to. */
const RETURNS: readonly (readonly [file: string, name: string])[] = [
  ["rebase-merge/head-name", "rebase"],
  ["rebase-apply/head-name", "rebase"],
  ["BISECT_START", "bisect"],
];

async function holding(tree: WorkTree, branch: string): Promise<Obstacle | undefined> {
  const folder = (await findGitDir(tree.path)) ?? tree.path;
  for (const [file, underway] of RETURNS) {
    const name = (await readFile(join(folder, file), "utf8").catch(() => "")).trim();
    if (name === `refs/heads/${branch}` || name === branch) return { path: tree.path, files: [], underway };
  }
  return undefined;
}

/** Why nobody but its owner may touch this checkout; undefined when it is clean. Untracked files do not count. */
export async function dirtOf(world: VcsWorld, path: string): Promise<Obstacle | undefined> {
  const args = ["status", "--porcelain=v1", "-z", "--untracked-files=no", "--ignore-submodules=dirty", "--no-renames"];
  const { stdout } = await runGit(world, path, args);
  const files = stdout.split("\0").flatMap((line) => (line === "" ? [] : [line.slice(3)]));
  const folder = (await findGitDir(path)) ?? path;
  const underway = UNDERWAY.find(([file]) => existsSync(join(folder, file)))?.[1] ?? null;
  return files.length > 0 || underway !== null ? { path, files, underway } : undefined;
}

/** Files of `path` that are not in version control and would be written over by going from one commit to another. */
export async function strangersOf(
  world: VcsWorld,
  path: string,
  { from, to }: { from: string; to: string },
): Promise<string[]> {
  const args = ["diff", "--name-only", "--no-renames", "--diff-filter=A", "-z", from, to];
  const { stdout } = await runGit(world, path, args);
  const added = stdout.split("\0").filter((name) => name !== "");
  const there = await Promise.all(
    added.map((name) =>
      lstat(join(path, name)).then(
        (found) => !found.isDirectory(),
        () => false,
      ),
    ),
  );
  return added.filter((_, index) => there[index]);
}
