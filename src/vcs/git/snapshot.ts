import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../errors.js";
import { quote, shellWord } from "../../names.js";
import type { Checkout, Snapshot, VcsWorld } from "../vcs.js";
import { gitDirOf } from "./git-dir.js";
import { copyIndex, withIndex } from "./private-index.js";
import { type GitOptions, runGit } from "./run.js";

/** Settings of the user's that must not affect our copy of the index. */
const QUIETLY = [
  ["core.hooksPath", "/dev/null"],
  ["core.fsmonitor", "false"],
  ["core.splitIndex", "false"],
  ["core.safecrlf", "false"],
  ["advice.addEmbeddedRepo", "false"],
].flatMap(([name, value]) => ["-c", `${name}=${value}`]);

/** Files change while an agent works, and git fails on one that vanished; so we retry. */
const ATTEMPTS = 4;

/**
 * Everything in the checkout as trees of its repository. Leaves the checkout, its index and refs alone: git works on a
 * copy of the index. Faults `vcs.no_commits`, `vcs.no_folder`.
 */
export async function snapshot(world: VcsWorld, checkout: Checkout): Promise<Snapshot> {
  return snapshotWith(world, checkout.path, "as git sees it");
}

/** A snapshot that includes changes in files marked assume-unchanged or skip-worktree. */
export async function wholeSnapshot(world: VcsWorld, checkout: Checkout): Promise<Snapshot> {
  return snapshotWith(world, checkout.path, "hidden ones too");
}

/** As `wholeSnapshot`, for a repository that may have no commits. */
export async function wholeTrees(world: VcsWorld, path: string): Promise<Trees> {
  return treesOf(world, path, "hidden ones too");
}

/** The tree of all files in a folder that is not a checkout, as the repository at `root` would store them. */
export async function folderTree(world: VcsWorld, root: string, path: string): Promise<string> {
  const gitDir = await gitDirOf(root);
  return withIndex(gitDir, "empty", async (env) => {
    const git = gitWith(world, path, { GIT_DIR: gitDir, GIT_WORK_TREE: path, ...env });
    await addAll(git);
    return (await git(["write-tree"])).stdout.trim();
  });
}

type Depth = "as git sees it" | "hidden ones too";
type Trees = Pick<Snapshot, "tree" | "indexTree">;

async function snapshotWith(world: VcsWorld, path: string, depth: Depth): Promise<Snapshot> {
  const [[head, headTree], { tree, indexTree }] = await Promise.all([
    headAndTree(world, path),
    treesOf(world, path, depth),
  ]);
  return { head, tree, indexTree, dirty: tree !== headTree || indexTree !== headTree };
}

/** HEAD and its tree; faults `vcs.no_commits`. */
async function headAndTree(world: VcsWorld, path: string): Promise<[head: string, tree: string]> {
  const both = await runGit(world, path, ["rev-parse", "HEAD^{commit}", "HEAD^{tree}"], { okCodes: [128] });
  const [head = "", tree = ""] = both.stdout.split("\n");
  if (both.code === 0) return [head, tree];
  // Faults with git's words if there is more wrong than that.
  await runGit(world, path, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], { okCodes: [1] });
  throw noCommits(path);
}

export function noCommits(path: string): Fault {
  return new Fault("conflict", "vcs.no_commits", `The repository at ${quote(path)} has no commits yet.`, [
    { intent: "Make a first commit", command: `git -C ${shellWord(path)} commit --allow-empty -m Begin` },
  ]);
}

async function treesOf(world: VcsWorld, path: string, depth: Depth): Promise<Trees> {
  return withIndex(await gitDirOf(path), "copy", async (env) => {
    const git = gitWith(world, path, env);
    const indexTree = await treeOfIndex(git, env.GIT_INDEX_FILE);
    if (depth === "hidden ones too") await unhide(git, path);
    await addAll(git);
    return { tree: (await git(["write-tree"])).stdout.trim(), indexTree };
  });
}

type IndexGit = (args: readonly string[], options?: GitOptions) => ReturnType<typeof runGit>;

const gitWith =
  (world: VcsWorld, path: string, env: Record<string, string>): IndexGit =>
  (args, options) =>
    runGit(world, path, [...QUIETLY, ...args], { ...options, env: { ...env, ...options?.env } });

/** The tree of the index; of an unmerged path, the side from before the merge. */
async function treeOfIndex(git: IndexGit, index: string): Promise<string> {
  const plain = await git(["write-tree"], { okCodes: [128] });
  if (plain.code === 0) return plain.stdout.trim();
  const unmerged = (await git(["ls-files", "--unmerged", "-z"])).stdout.split("\0").filter(Boolean);
  const resolved = new Map<string, string>();
  for (const entry of unmerged) {
    const [, mode, sha, stage, file = ""] = /^(\d+) ([0-9a-f]+) (\d)\t(.*)$/s.exec(entry) ?? [];
    if (!resolved.has(file) || stage === "2") resolved.set(file, `${mode} ${sha} 0\t${file}\0`);
  }
  const copy = `${index}-resolved`;
  await copyIndex(index, copy);
  const env = { GIT_INDEX_FILE: copy };
  await git(["update-index", "-z", "--index-info"], { input: [...resolved.values()].join(""), env });
  return (await git(["write-tree"], { env })).stdout.trim();
}

/** Clears assume-unchanged and skip-worktree of files that exist. */
async function unhide(git: IndexGit, path: string): Promise<void> {
  const { stdout } = await git(["ls-files", "-v", "-z"]);
  const hidden = stdout.split("\0").filter((entry) => /^[a-zS] /.test(entry));
  const existing: string[] = [];
  for (const entry of hidden) {
    const file = entry.slice(2);
    if ((await lstat(join(path, file)).catch(() => undefined)) !== undefined) existing.push(`${file}\0`);
  }
  if (existing.length === 0) return;
  const input = existing.join("");
  await git(["update-index", "--no-assume-unchanged", "-z", "--stdin"], { input });
  await git(["update-index", "--no-skip-worktree", "-z", "--stdin"], { input });
}

async function addAll(git: IndexGit): Promise<void> {
  let skipped: string[] = [];
  for (let attempt = 1; ; attempt += 1) {
    try {
      await git(["add", "--all", "--sparse", "--", ".", ...skipped]);
      return;
    } catch (error) {
      if (attempt === ATTEMPTS || !(error instanceof Fault) || error.code !== "vcs.failed") throw error;
      if (/does not have a commit checked out/.test(error.message)) skipped = await nestedRepositories(git);
    }
  }
}

/** Pathspecs that exclude untracked repositories inside: git fails on one without commits. */
async function nestedRepositories(git: IndexGit): Promise<string[]> {
  const { stdout } = await git(["ls-files", "--others", "--exclude-standard", "-z"]);
  const folders = stdout.split("\0").filter((entry) => entry.endsWith("/"));
  return folders.map((folder) => `:(exclude,literal,top)${folder.slice(0, -1)}`);
}
