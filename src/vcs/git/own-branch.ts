import { join } from "node:path";
import { writeWhole } from "../../whole-file.js";
import type { Checkout, VcsWorld } from "../vcs.js";
import { gitDirOf, readHead, readText } from "./git-dir.js";
import { findCommit, gitFault, gitLines, NO_HOOKS, runGit } from "./run.js";

/** A file in the checkout's git folder that names the branch that was made for it. */
const NOTE = "mu-branch";

/** Arguments for rev-list that mean all branches but those of workspaces, which go with them. */
export const LASTING_BRANCHES = ["--exclude=mu/*", "--branches", "--remotes"];

/** A branch that two checkouts want at once is chosen anew this often. */
export const MOST_TRIES = 20;

/**
 * Takes a branch for a new checkout at `base` and gives its name: `wanted`, or with a number where that one is checked
 * out or has commits of its own. Undefined if a branch is called as one of its folders. It is there before the checkout:
 * git makes a branch first, so that adding a checkout with a new one could not be tried again.
 */
export async function takeBranch(
  world: VcsWorld,
  root: string,
  wanted: string,
  base: string,
): Promise<string | undefined> {
  for (let tries = 1; ; tries++) {
    const branch = await chooseBranch(world, root, wanted, base);
    if (branch === undefined) return undefined;
    const args = [...NO_HOOKS, "update-ref", `refs/heads/${branch.name}`, base, branch.tip];
    const result = await runGit(world, root, args, { okCodes: "any", alone: true });
    if (result.code === 0) return branch.name;
    const isTaken = /already exists|but expected/.test(result.stderr);
    if (!isTaken || tries === MOST_TRIES) throw gitFault(root, args, result);
  }
}

/** Gives back a branch at `base` whose checkout was not made, unless another one is on it by now. */
export async function giveBackBranch(world: VcsWorld, root: string, name: string, base: string): Promise<void> {
  if ((await usersOf(world, root, name)) === 0) await deleteAt(world, root, `refs/heads/${name}`, base);
}

/** How many checkouts are on a branch. */
export async function usersOf(world: VcsWorld, root: string, name: string): Promise<number> {
  const lines = await gitLines(world, root, ["worktree", "list", "--porcelain"]);
  return lines.filter((line) => line === `branch refs/heads/${name}`).length;
}

/** Deletes a branch unless it has moved: whoever moved it just now needs it. */
async function deleteAt(world: VcsWorld, root: string, ref: string, tip: string): Promise<void> {
  await runGit(world, root, [...NO_HOOKS, "update-ref", "-d", ref, tip], { okCodes: "any", locks: true });
}

/** A branch that can be taken, and its commit; an empty one where git has no such branch. */
async function chooseBranch(world: VcsWorld, root: string, wanted: string, base: string) {
  const [folder] = wanted.split("/");
  const format = "--format=%(refname:lstrip=2)%00%(objectname)%00%(worktreepath)";
  const lines = await gitLines(world, root, ["for-each-ref", format, `refs/heads/${folder}`]);
  const known = new Map(lines.map((line) => [line.split("\0")[0] ?? "", line.split("\0").slice(1)]));
  const names = [...known.keys()];
  if (names.some((name) => wanted.startsWith(`${name}/`))) return undefined;
  for (let n = 1; ; n++) {
    const name = n === 1 ? wanted : `${wanted}-${n}`;
    const [tip = "", usedBy] = known.get(name) ?? [];
    if (names.some((one) => one.startsWith(`${name}/`)) || usedBy) continue;
    if (tip === "" || (await isAncestor(world, root, tip, base))) return { name, tip };
  }
}

async function isAncestor(world: VcsWorld, root: string, commit: string, of: string): Promise<boolean> {
  const { code } = await runGit(world, root, ["merge-base", "--is-ancestor", commit, of], { okCodes: [1] });
  return code === 0;
}

/** Notes in the checkout's git folder that this branch is its own. */
export async function noteBranch(gitDir: string, name: string): Promise<void> {
  await writeWhole(join(gitDir, NOTE), `${name}\n`);
}

/**
 * Deletes the branch of a checkout whose folder is gone, and leaves the checkout's HEAD at its commit. A branch that
 * another checkout is on, or that has commits which HEAD lacks and so no save has, stays.
 */
export async function dropBranch(world: VcsWorld, root: string, entry: string, made?: string): Promise<void> {
  const name = made ?? (await readText(join(entry, NOTE)));
  const ref = `refs/heads/${name}`;
  const tip = name === undefined ? undefined : await findCommit(world, root, ref);
  if (name === undefined || tip === undefined) return;
  const isOn = (await readText(join(entry, "HEAD"))) === `ref: ${ref}`;
  const head = isOn ? tip : await readHead(entry);
  if (head === undefined || (!isOn && !(await isAncestor(world, root, tip, head)))) return;
  if ((await usersOf(world, root, name)) > Number(isOn)) return;
  if (isOn) await writeWhole(join(entry, "HEAD"), `${head}\n`, 0o644);
  await deleteAt(world, root, ref, tip);
}

/** Puts a detached HEAD back on the checkout's own branch, unless that has commits that only it has. */
export async function reattach(world: VcsWorld, { path }: Pick<Checkout, "path">): Promise<void> {
  const gitDir = await gitDirOf(path);
  const name = await readText(join(gitDir, NOTE));
  if (name === undefined || (await readText(join(gitDir, "HEAD")))?.startsWith("ref: ")) return;
  const ref = `refs/heads/${name}`;
  const tip = await findCommit(world, path, ref);
  const others = ["HEAD", `--exclude=${name}`, "--branches", "--remotes"];
  const own = tip && (await gitLines(world, path, ["rev-list", "--max-count=1", tip, "--not", ...others, "--"]));
  if (own && own.length > 0) return;
  const head = await findCommit(world, path, "HEAD");
  if (head === undefined) return;
  await runGit(world, path, [...NO_HOOKS, "update-ref", "-m", "mu restore", ref, head], { alone: true });
  await runGit(world, path, [...NO_HOOKS, "symbolic-ref", "HEAD", ref]);
}
