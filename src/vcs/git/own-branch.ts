import { join } from "node:path";
import { writeWhole } from "../../whole-file.js";
import type { Checkout, VcsWorld } from "../vcs.js";
import { gitDirOf, readHead, readText } from "./git-dir.js";
import { findCommit, gitLines, NO_HOOKS, runGit } from "./run.js";

/** A file in the checkout's git folder that names the branch that was made for it. */
const NOTE = "mu-branch";

/** Arguments for rev-list that mean all branches but those of workspaces, which go with them. */
export const LASTING_BRANCHES = ["--exclude=mu/*", "--branches", "--remotes"];

/** A branch for a new checkout, and whether git has one of that name, which nothing needs. */
export interface OwnBranch {
  name: string;
  exists: boolean;
}

/**
 * The branch for a new checkout at `base`: `wanted`, or with a number where that one is checked out or has commits of its
 * own. Undefined if a branch is called as one of its folders.
 */
export async function chooseBranch(
  world: VcsWorld,
  root: string,
  wanted: string,
  base: string,
): Promise<OwnBranch | undefined> {
  const [folder] = wanted.split("/");
  const format = "--format=%(refname:lstrip=2)%00%(objectname)%00%(worktreepath)";
  const lines = await gitLines(world, root, ["for-each-ref", format, `refs/heads/${folder}`]);
  const known = new Map(lines.map((line) => [line.split("\0")[0] ?? "", line.split("\0").slice(1)]));
  const names = [...known.keys()];
  if (names.some((name) => wanted.startsWith(`${name}/`))) return undefined;
  for (let n = 1; ; n++) {
    const name = n === 1 ? wanted : `${wanted}-${n}`;
    const [tip, usedBy] = known.get(name) ?? [];
    if (names.some((one) => one.startsWith(`${name}/`)) || usedBy) continue;
    if (tip === undefined || (await isAncestor(world, root, tip, base))) return { name, exists: tip !== undefined };
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
  if (tip === undefined) return;
  const isOn = (await readText(join(entry, "HEAD"))) === `ref: ${ref}`;
  const head = isOn ? tip : await readHead(entry);
  if (head === undefined || (!isOn && !(await isAncestor(world, root, tip, head)))) return;
  const users = await gitLines(world, root, ["worktree", "list", "--porcelain"]);
  if (users.filter((line) => line === `branch ${ref}`).length > Number(isOn)) return;
  if (isOn) await writeWhole(join(entry, "HEAD"), `${head}\n`, 0o644);
  // Whoever moved it just now needs it.
  await runGit(world, root, [...NO_HOOKS, "update-ref", "-d", ref, tip], { okCodes: "any", locks: true });
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
  await runGit(world, path, [...NO_HOOKS, "update-ref", "-m", "mu restore", ref, head]);
  await runGit(world, path, [...NO_HOOKS, "symbolic-ref", "HEAD", ref]);
}
