import { existsSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { VcsWorld } from "../vcs.js";
import { commonDirOf, findGitDir } from "./git-dir.js";
import { putFilesOf } from "./ignored.js";
import { gitEntries, gitLine, gitLines, NO_HOOKS, runGit } from "./run.js";
import { type Content, makeSavedCommit, type Nested, readSavedCommit, treeOf } from "./saved-commit.js";
import { wholeTrees } from "./snapshot.js";

/** All nested saves have this date, so that saving the same content again gives the same commit. */
const DATE = "@86400 +0000";

/**
 * Saves what only the repositories inside a checkout have (submodules and clones): commits that none of their remotes
 * has, and uncommitted files. They are fetched into the checkout's own repository.
 */
export async function saveNested(world: VcsWorld, path: string, name: string): Promise<Nested[]> {
  const found: Nested[] = [];
  for (const below of await nestedIn(world, path)) {
    const commit = await saveOne(world, path, join(path, below), name);
    if (commit === undefined) continue;
    const asked = ["config", "--get", "remote.origin.url"];
    const origin = await gitLine(world, join(path, below), asked, { okCodes: [1] });
    await fetchCommit(world, path, join(path, below), commit);
    found.push({ path: below, commit, origin: origin || null });
  }
  return found;
}

/** Repositories inside a checkout, submodules or not, that are not ignored; relative paths. */
async function nestedIn(world: VcsWorld, path: string): Promise<string[]> {
  const list = (...args: string[]) => gitEntries(world, path, ["ls-files", "-z", ...args]);
  const links = (await list("--stage")).filter((entry) => entry.startsWith("160000 "));
  const tracked = links.map((entry) => entry.slice(entry.indexOf("\t") + 1));
  const others = (await list("--others", "--exclude-standard")).filter((entry) => entry.endsWith("/"));
  const candidates = [...new Set([...tracked, ...others.map((entry) => entry.slice(0, -1))])];
  return candidates.filter((below) => existsSync(join(path, below, ".git")));
}

/** A commit in the nested repository with all that only it has; undefined if that is nothing. */
async function saveOne(world: VcsWorld, outer: string, path: string, name: string): Promise<string | undefined> {
  const nested = await saveNested(world, path, name);
  const asked = ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"];
  const head = (await gitLine(world, path, asked, { okCodes: [1] })) || null;
  const { tree, indexTree } = await wholeTrees(world, path);
  const branches = await ownCommits(world, outer, path, head);
  const headTree = head === null ? null : await treeOf(world, path, head);
  const isClean = headTree === null ? await isEmpty(world, path, tree) : tree === headTree && indexTree === headTree;
  if (isClean && branches.length === 0 && nested.length === 0) return undefined;
  const parts = { name, path, head, tree, indexTree, resumable: branches, nested, files: [] };
  return makeSavedCommit(world, path, parts, DATE);
}

async function isEmpty(world: VcsWorld, cwd: string, tree: string): Promise<boolean> {
  return (await runGit(world, cwd, ["ls-tree", "--name-only", tree])).stdout === "";
}

/** Those of HEAD, branches, tags and the stash with commits that no remote has. */
async function ownCommits(world: VcsWorld, outer: string, path: string, head: string | null): Promise<string[]> {
  const [mine, theirs] = await Promise.all([path, outer].map(sharedDir));
  // A linked worktree of the outer repository: its branches outlive it.
  const isSame = mine === theirs;
  const format = "--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)";
  const asked = ["for-each-ref", format, "refs/heads", "refs/tags", "refs/stash"];
  const refs = isSame ? [] : await gitLines(world, path, asked);
  const tips = new Set([...(head === null ? [] : [head]), ...refs]);
  if (tips.size === 0) return [];
  const known = isSame ? ["--branches", "--remotes"] : ["--remotes"];
  const input = [...tips, ""].join("\n");
  const listed = await runGit(world, path, ["rev-list", "--stdin", "--not", ...known], { input });
  return listed.stdout.split("\n").filter((commit) => tips.has(commit));
}

async function sharedDir(path: string): Promise<string | undefined> {
  const gitDir = await findGitDir(path);
  return gitDir === undefined ? undefined : commonDirOf(gitDir);
}

/** Fetches a commit and its ancestors into the repository at `into`, without a ref. */
export async function fetchCommit(world: VcsWorld, into: string, from: string, commit: string): Promise<void> {
  const quiet = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance"];
  const plain = [...NO_HOOKS, "-c", "protocol.version=2", "-c", "protocol.file.allow=always"];
  await runGit(world, into, [...plain, "fetch", ...quiet, "--update-shallow", from, commit]);
}

/** Whether files go into a clean checkout, or over what a killed run left. */
type RestoreMode = "clean" | "overwrite";

/** Restores HEAD (detached), the files, the index, and the repositories inside. */
export async function restoreFiles(world: VcsWorld, path: string, content: Content, mode: RestoreMode): Promise<void> {
  const { head, tree, index, nested, ignored } = content;
  const isClean = mode === "clean";
  const how = isClean ? "--no-overwrite-ignore" : "--force";
  if (head !== null) await runGit(world, path, [...NO_HOOKS, "checkout", "--quiet", "--detach", how, head]);
  if (tree !== null && index !== null) {
    const trees = head !== null && isClean ? ["HEAD", tree] : [tree];
    await runGit(world, path, ["read-tree", isClean ? "-m" : "--reset", "-u", ...trees]);
    await runGit(world, path, ["read-tree", "-m", index]);
    await runGit(world, path, ["update-index", "-q", "--refresh"], { okCodes: [1] });
  }
  for (const each of nested) await restoreNested(world, path, each, mode);
  if (ignored !== null) await putFilesOf(world, path, ignored);
}

/** Restores one nested repository, creating it if it does not exist. */
async function restoreNested(
  world: VcsWorld,
  path: string,
  { path: below, commit, origin }: Nested,
  mode: RestoreMode,
) {
  const folder = join(path, below);
  await mkdir(folder, { recursive: true });
  if (!existsSync(join(folder, ".git"))) {
    if ((await readdir(folder)).length > 0) return;
    await runGit(world, folder, ["init", "--quiet"]);
  }
  if (origin !== null) await runGit(world, folder, ["config", "remote.origin.url", origin]);
  await fetchCommit(world, folder, path, commit);
  await restoreFiles(world, folder, await readSavedCommit(world, folder, commit), mode);
}
