import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../errors.js";
import { shellWord } from "../../names.js";
import type { Checkout, Saved, Snapshot, Target, VcsWorld } from "../vcs.js";
import { findEntry, findGitDir, isThere, readHead, readText, underwayIn } from "./git-dir.js";
import { arrivedIn, parseWalk } from "./history.js";
import { saveNested } from "./nested.js";
import { refreshedFrom } from "./refresh.js";
import { gitLine, NO_HOOKS, runGit } from "./run.js";
import { makeSavedCommit, TRAILERS, treeOf } from "./saved-commit.js";
import { strayTree, wholeSnapshot } from "./snapshot.js";

/** Where saves are in a repository. */
export const SALVAGE = "refs/mu/salvage/";

/**
 * Saves a checkout as a ref that is never overwritten: the commit that it is at when nothing else is to be saved, else
 * a commit with the tree of the work tree, whose parents are HEAD, the index where it differs, and what an unfinished
 * rebase or merge would come back to. By plumbing alone, so no hook runs and nobody needs a name. A checkout whose
 * folder is gone still has its commits. Faults `vcs.ref_taken` when other things were saved under this name.
 */
export async function save(
  world: VcsWorld,
  checkout: Checkout,
  { name, target }: { name: string; target: Target | null; archives: string },
): Promise<Saved | null> {
  const { root } = checkout;
  const gitDir = await tieOf(checkout);
  if (gitDir === undefined) return saveStray(world, checkout, name);
  const shot = (await isThere(checkout.path)) ? await wholeSnapshot(world, checkout) : undefined;
  const head = shot?.head ?? (await readHead(gitDir));
  if (head === undefined) return null;
  const beside = (await comebacks(gitDir)).filter((commit) => commit !== head);
  const excluded = target === null ? ["--branches", "--remotes"] : [target.commit];
  const { stdout } = await runGit(world, root, ["rev-list", "--parents", head, ...beside, "--not", ...excluded]);
  const own = parseWalk(stdout);
  const commits = own.size - arrivedIn(own, target?.landed ?? []).size;
  const nested = shot === undefined ? [] : await saveNested(world, checkout.path, name);
  if (commits === 0 && !shot?.dirty && nested.length === 0) return null;
  const files = shot?.dirty ? await changedFiles(world, root, shot) : [];
  const tree = shot?.tree ?? (await treeOf(world, root, head));
  const indexTree = shot?.indexTree ?? tree;
  const isPlain = !shot?.dirty && beside.length === 0 && nested.length === 0;
  const parts = { name, path: checkout.path, head, tree, indexTree, comebacks: beside, nested, files };
  const commit = isPlain ? head : await makeSavedCommit(world, root, parts);
  const place = `${SALVAGE}${name}`;
  return { place, commit: await keep(world, root, place, commit), commits, files: files.length };
}

/**
 * Saves the files of a folder that its repository knows nothing of any more, as after a new clone in the repository's
 * place: what it was at is not known, so all files are in it that are not ignored.
 */
async function saveStray(world: VcsWorld, { root, path }: Checkout, name: string): Promise<Saved | null> {
  const names = await readdir(path).catch(() => []);
  if (names.every((entry) => entry === ".git")) return null;
  const tree = await strayTree(world, root, path);
  const listed = await runGit(world, root, ["ls-tree", "-r", "-z", "--name-only", tree]);
  const files = listed.stdout.split("\0").filter(Boolean);
  if (files.length === 0) return null;
  const parts = { name, path, head: null, tree, indexTree: tree, comebacks: [], nested: [], files };
  const commit = await makeSavedCommit(world, root, parts);
  const place = `${SALVAGE}${name}`;
  return { place, commit: await keep(world, root, place, commit), commits: 0, files: files.length };
}

/** The git folder of a checkout whose folder, or the file in it that points to the git folder, may be gone. */
async function tieOf({ root, path }: Checkout): Promise<string | undefined> {
  const entry = await findEntry(root, path);
  if (entry === undefined) {
    const found = await findGitDir(path);
    return found !== undefined && (await isThere(found)) ? found : undefined;
  }
  if ((await isThere(path)) && (await findGitDir(path)) === undefined)
    await writeFile(join(path, ".git"), `gitdir: ${entry}\n`);
  return entry;
}

/** Commits that an unfinished rebase, merge or cherry-pick would bring back or in. */
async function comebacks(gitDir: string): Promise<string[]> {
  const names = await readdir(gitDir);
  const files = underwayIn(names) === null ? [] : COMEBACKS;
  const found = await Promise.all(files.map(async (file) => readText(join(gitDir, file))));
  const shas = [...found, await refreshedFrom(gitDir)].flatMap((text) => text?.split("\n") ?? []);
  return [...new Set(shas.filter((sha) => /^[0-9a-f]{40,64}$/.test(sha)))];
}

const COMEBACKS = ["rebase-merge/orig-head", "rebase-apply/orig-head", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD"];

async function changedFiles(world: VcsWorld, cwd: string, { head, tree, indexTree }: Snapshot): Promise<string[]> {
  const found = new Set<string>();
  for (const changed of new Set([tree, indexTree])) {
    const args = ["diff-tree", "-r", "--no-renames", "--name-only", "-z", head, changed];
    const { stdout } = await runGit(world, cwd, args);
    for (const file of stdout.split("\0").filter(Boolean)) found.add(file);
  }
  return [...found].sort();
}

/** Makes the ref, once: one that is there already must hold the same, as after a run that was killed, and stays. */
async function keep(world: VcsWorld, root: string, place: string, commit: string): Promise<string> {
  const earlier = await gitLine(world, root, ["rev-parse", "--verify", "--quiet", place], { okCodes: [1] });
  if (earlier !== "") {
    if (earlier === commit || (await essence(world, root, earlier)) === (await essence(world, root, commit)))
      return earlier;
    throw refTaken(root, place);
  }
  await runGit(world, root, [...NO_HOOKS, "update-ref", place, commit, "0".repeat(commit.length)]);
  return commit;
}

/** What two saves of the same checkout have in common although their times differ. */
async function essence(world: VcsWorld, root: string, commit: string): Promise<string> {
  const shown = ["log", "-1", "--no-show-signature", "--format=%T %B", commit];
  const { stdout } = await runGit(world, root, shown);
  return stdout.includes(`\n${TRAILERS.head}: `) ? stdout : commit;
}

function refTaken(root: string, place: string): Fault {
  return new Fault("conflict", "vcs.ref_taken", `${place} is there already and holds something else.`, [
    { intent: "See what it holds", command: `git -C ${shellWord(root)} show --stat ${place}` },
  ]);
}
