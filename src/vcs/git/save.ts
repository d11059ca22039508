import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../errors.js";
import { shellWord } from "../../names.js";
import { writeWhole } from "../../whole-file.js";
import type { Checkout, Saved, Snapshot, Target, VcsWorld } from "../vcs.js";
import { findEntry, findGitDir, operationIn, readHead, readText } from "./git-dir.js";
import { landedIn, parseWalk } from "./history.js";
import { type IgnoredFiles, ignoredFiles, treeOfFiles } from "./ignored.js";
import { saveNested } from "./nested.js";
import { LASTING_BRANCHES } from "./own-branch.js";
import { refreshedFrom } from "./refresh.js";
import { gitEntries, gitLine, NO_HOOKS, runGit } from "./run.js";
import { makeSavedCommit, TRAILERS, treeOf } from "./saved-commit.js";
import { folderTree, wholeSnapshot } from "./snapshot.js";
import { syncSave } from "./sync.js";

/** The prefix of refs of saves. */
export const SALVAGE = "refs/mu/salvage/";

/**
 * Saves a checkout as a ref that is never overwritten: HEAD if nothing is uncommitted, else a commit of the work tree
 * whose parents are HEAD, the index if it differs, and the commits that an unfinished rebase or merge needs. Uses only
 * plumbing: no hook runs and no identity is needed. If the folder is gone, its commits are still saved. Faults
 * `vcs.ref_taken` if something else was saved under this name.
 */
export async function save(
  world: VcsWorld,
  checkout: Checkout,
  { name, target, caches }: { name: string; target: Target | null; archives: string; caches?: readonly string[] },
): Promise<Saved | null> {
  const { root } = checkout;
  const gitDir = await gitDirOfCheckout(checkout);
  if (gitDir === undefined) return saveFolder(world, checkout, name);
  const shot = existsSync(checkout.path) ? await wholeSnapshot(world, checkout) : undefined;
  const head = shot?.head ?? (await readHead(gitDir));
  if (head === undefined) return null;
  const resumable = (await resumableCommits(gitDir)).filter((commit) => commit !== head);
  const excluded = target === null ? LASTING_BRANCHES : [target.commit];
  const { stdout } = await runGit(world, root, ["rev-list", "--parents", head, ...resumable, "--not", ...excluded]);
  const own = parseWalk(stdout);
  const commits = own.size - landedIn(own, target?.landed ?? []).size;
  const nested = shot === undefined ? [] : await saveNested(world, checkout.path, name);
  const found = shot === undefined || caches === undefined ? NO_FILES : await ignoredFiles(world, checkout, caches);
  const { saved, leftOut } = found;
  const others = nested.length + saved.length + leftOut.length;
  if (commits === 0 && !shot?.dirty && others === 0) return null;
  const files = shot?.dirty ? await changedFiles(world, root, shot) : [];
  const tree = shot?.tree ?? (await treeOf(world, root, head));
  const indexTree = shot?.indexTree ?? tree;
  const isPlain = !shot?.dirty && resumable.length === 0 && others === 0;
  const ignored = saved.length === 0 ? null : await treeOfFiles(world, checkout.path, saved);
  const parts = { name, path: checkout.path, head, tree, indexTree, resumable, nested, files, ignored, leftOut };
  const commit = isPlain ? head : await makeSavedCommit(world, root, parts);
  const place = `${SALVAGE}${name}`;
  const counts = { commits, files: files.length, nested: nested.length, ignored: saved.length };
  return { place, commit: await createRef(world, root, { place, commit }, excluded), ...counts, leftOut };
}

const NO_FILES: IgnoredFiles = { saved: [], leftOut: [] };

/**
 * Saves a folder that its repository no longer knows, as after cloning the repository again: HEAD is unknown, so all
 * files that are not ignored are saved.
 */
async function saveFolder(world: VcsWorld, { root, path }: Checkout, name: string): Promise<Saved | null> {
  const names = await readdir(path).catch(() => []);
  if (names.every((entry) => entry === ".git")) return null;
  const tree = await folderTree(world, root, path);
  const files = await gitEntries(world, root, ["ls-tree", "-r", "-z", "--name-only", tree]);
  if (files.length === 0) return null;
  const parts = { name, path, head: null, tree, indexTree: tree, resumable: [], nested: [], files };
  const commit = await makeSavedCommit(world, root, parts);
  const place = `${SALVAGE}${name}`;
  return { place, commit: await createRef(world, root, { place, commit }, []), commits: 0, files: files.length };
}

/** The git folder of a checkout whose folder, or `.git` file, may be gone. */
async function gitDirOfCheckout({ root, path }: Checkout): Promise<string | undefined> {
  const entry = await findEntry(root, path);
  if (entry === undefined) {
    const found = await findGitDir(path);
    return found !== undefined && existsSync(found) ? found : undefined;
  }
  if (existsSync(path) && (await findGitDir(path)) === undefined)
    await writeWhole(join(path, ".git"), `gitdir: ${entry}\n`, 0o644);
  return entry;
}

/** Commits that an unfinished rebase, merge or cherry-pick needs. */
async function resumableCommits(gitDir: string): Promise<string[]> {
  const names = await readdir(gitDir);
  const files = operationIn(names) === null ? [] : RESUMABLE;
  const found = await Promise.all(files.map(async (file) => readText(join(gitDir, file))));
  const shas = [...found, await refreshedFrom(gitDir)].flatMap((text) => text?.split("\n") ?? []);
  return [...new Set(shas.filter((sha) => /^[0-9a-f]{40,64}$/.test(sha)))];
}

const RESUMABLE = ["rebase-merge/orig-head", "rebase-apply/orig-head", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD"];

async function changedFiles(world: VcsWorld, cwd: string, { head, tree, indexTree }: Snapshot): Promise<string[]> {
  const found = new Set<string>();
  for (const changed of new Set([tree, indexTree])) {
    const args = ["diff-tree", "-r", "--no-renames", "--name-only", "-z", head, changed];
    for (const file of await gitEntries(world, cwd, args)) found.add(file);
  }
  return [...found].sort();
}

/** Creates the ref. An existing one must hold the same, as after a killed run, and is kept. */
async function createRef(
  world: VcsWorld,
  root: string,
  { place, commit }: { place: string; commit: string },
  known: readonly string[],
): Promise<string> {
  const earlier = await gitLine(world, root, ["rev-parse", "--verify", "--quiet", place], { okCodes: [1] });
  if (earlier !== "") {
    if (earlier === commit || (await contentKey(world, root, earlier)) === (await contentKey(world, root, commit)))
      return earlier;
    throw refTaken(root, place);
  }
  await runGit(world, root, [...NO_HOOKS, "update-ref", place, commit, "0".repeat(commit.length)]);
  await syncSave(world, root, { place, commit }, known);
  return commit;
}

/** What is equal in two saves of the same content. */
async function contentKey(world: VcsWorld, root: string, commit: string): Promise<string> {
  const shown = ["log", "-1", "--no-show-signature", "--format=%T %B", commit];
  const { stdout } = await runGit(world, root, shown);
  return stdout.includes(`\n${TRAILERS.head}: `) ? stdout : commit;
}

function refTaken(root: string, place: string): Fault {
  return new Fault("conflict", "vcs.ref_taken", `${place} exists and holds something else.`, [
    { intent: "See what it holds", command: `git -C ${shellWord(root)} show --stat ${place}` },
  ]);
}
