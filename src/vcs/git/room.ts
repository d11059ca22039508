import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../errors.js";
import { enumerate, quote, shellWord } from "../../names.js";
import type { Move } from "../lander.js";
import type { VcsWorld } from "../vcs.js";
import { type Changes, foldersAbove, pathsOf, readChanges } from "./changes.js";
import { findGitDir, operationIn, readText } from "./git-dir.js";
import type { IndexDraft } from "./index-draft.js";
import { gitEntries } from "./run.js";
import { hasFile } from "./settle-move.js";
import { workTrees } from "./worktree.js";

/** The checkout that is on a branch, if any. Faults `landing.checkout_dirty` if another one will return to the branch. */
export async function findCheckout(world: VcsWorld, root: string, branch: string): Promise<string | undefined> {
  const trees = await workTrees(world, root);
  for (const { path } of trees.filter((tree) => tree.branch === undefined)) {
    const underway = await operationOn(path, branch);
    if (underway !== undefined) throw checkoutDirty(branch, { path, files: [], underway });
  }
  return trees.find((tree) => tree.branch === `refs/heads/${branch}`)?.path;
}

/** Files that name the branch to return to. */
const RETURNS: readonly (readonly [file: string, name: string])[] = [
  ["rebase-merge/head-name", "rebase"],
  ["rebase-apply/head-name", "rebase"],
  ["BISECT_START", "bisect"],
];

/** The operation in a checkout that will return to the branch when it ends. */
async function operationOn(path: string, branch: string): Promise<string | undefined> {
  const folder = (await findGitDir(path)) ?? path;
  for (const [file, operation] of RETURNS) {
    const name = (await readText(join(folder, file)))?.trim();
    if (name === `refs/heads/${branch}` || name === branch) return operation;
  }
  return undefined;
}

/**
 * Faults if an operation is in progress, or if what the user has not committed meets what differs between the commits,
 * which it gives. With a `draft` of the index, reads the dates of the files into that.
 */
export async function requireRoom(
  world: VcsWorld,
  { path, branch, from, to }: Move,
  draft?: IndexDraft["env"],
): Promise<Changes> {
  const underway = operationIn(await readdir((await findGitDir(path)) ?? path));
  if (underway !== null) throw checkoutDirty(branch, { path, files: [], underway });
  const status = ["status", "--porcelain=v1", "-z", "--untracked-files=no", "--ignore-submodules=all", "--no-renames"];
  const options = draft === undefined ? {} : { env: draft, locks: true };
  const [[changes = []], entries] = await Promise.all([
    readChanges(world, path, [[from, to]]),
    gitEntries(world, path, status, options),
  ]);
  const landing = new Set(pathsOf(changes));
  const changed = entries.map((line) => line.slice(3)).filter((name) => meets(name, landing));
  const added = changes.filter(({ before }) => before === null);
  const inTheWay = await Promise.all(added.map((change) => untrackedInTheWay(path, change.path, landing)));
  const files = [...new Set([...changed, ...inTheWay.flat()])];
  if (files.length > 0) throw checkoutDirty(branch, { path, files, underway: null });
  return changes;
}

/** True if the path, or a folder above it that would have to be a file, is among `landing`. */
function meets(name: string, landing: ReadonlySet<string>): boolean {
  return [name, ...foldersAbove([name])].some((path) => landing.has(path));
}

/** What stands where the landing adds a file: a file of that name, or one where a folder is needed. Ignored files too. */
async function untrackedInTheWay(path: string, name: string, landing: ReadonlySet<string>): Promise<string[]> {
  for (const above of foldersAbove([name])) if (!landing.has(above) && (await hasFile(path, above))) return [above];
  return (await hasFile(path, name)) ? [name] : [];
}

/** Why a branch cannot be moved now: its checkout has work in progress. */
interface Obstacle {
  path: string;
  /** Uncommitted or untracked files that block the move. */
  files: string[];
  /** An operation in progress, such as a rebase. */
  underway: string | null;
}

function checkoutDirty(branch: string, { path, files, underway }: Obstacle): Fault {
  const git = `git -C ${shellWord(path)}`;
  const what =
    underway === null
      ? `has uncommitted changes to files that would land (${enumerate(files, 5)})`
      : `has a ${underway} in progress`;
  const words = files.map((file) => shellWord(file)).join(" ");
  const stash = { intent: "Put those changes away", command: `${git} stash push --all -- ${words}` };
  return new Fault(
    "conflict",
    "landing.checkout_dirty",
    `${branch} is checked out in ${quote(path)}, which ${what}. The work stays finished and lands after that.`,
    [{ intent: "See its status", command: `${git} status` }, ...(files.length > 0 ? [stash] : [])],
    { path, files, underway },
  );
}
