import { existsSync } from "node:fs";
import { mkdir, rm, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Fault } from "../../errors.js";
import { quote, shellWord } from "../../names.js";
import { deleteFolder, isTaken } from "../folders.js";
import { errorText, type ProgramResult, pathTaken } from "../program.js";
import type { Checkout, CreateOptions, VcsWorld } from "../vcs.js";
import { findEntry, headOf, readText, waitUntilQuiet, worktreesDirOf } from "./git-dir.js";
import { dropBranch, giveBackBranch, MOST_TRIES, noteBranch, takeBranch, usersOf } from "./own-branch.js";
import { gitFault, NO_HOOKS, runGit } from "./run.js";
import { commitOf, target } from "./target.js";

/** Lock reasons of a worktree that is still being created. */
const CREATING = ["initializing", "added with --lock"];

/**
 * Creates a linked worktree on a branch of its own; with a detached HEAD if none is wished for, or git can have none of
 * that name. It is locked until it is complete, so that what a killed run left can be told from a checkout in use: the
 * first is deleted and created again, the second is kept. Faults
 * `vcs.unknown_ref`, `vcs.no_commits`, `vcs.no_target`, `vcs.hook_failed`, `vcs.filter_failed`, `vcs.path_taken`.
 */
export async function create(world: VcsWorld, checkout: Checkout, options: CreateOptions): Promise<{ base: string }> {
  const existing = await existingCommit(world, checkout);
  if (existing !== undefined) return { base: existing };
  if (await isTaken(checkout.path)) throw pathTaken(checkout.path);
  const base =
    options.from === undefined
      ? (await target(world, checkout.root)).commit
      : await commitOf(world, checkout.root, options.from);
  await mkdir(dirname(checkout.path), { recursive: true });
  await addWorktree(world, checkout, base, options);
  return { base };
}

/** The commit of a complete checkout that an earlier run created. Removes an incomplete one. */
async function existingCommit(world: VcsWorld, checkout: Checkout): Promise<string | undefined> {
  const entry = await findEntry(checkout.root, checkout.path);
  if (entry === undefined) return undefined;
  const reason = await readText(join(entry, "locked"));
  const isComplete = reason === undefined || !CREATING.includes(reason);
  if (isComplete && existsSync(join(checkout.path, ".git"))) return headOf(world, checkout);
  if (isComplete && (await isTaken(checkout.path))) throw pathTaken(checkout.path);
  await waitUntilQuiet(entry);
  await deleteFolder(checkout.path);
  await rm(entry, { recursive: true, force: true });
  return undefined;
}

async function addWorktree(world: VcsWorld, checkout: Checkout, base: string, options: CreateOptions): Promise<void> {
  const wanted = options.branch;
  for (let tries = 1; ; tries++) {
    const branch = wanted === undefined ? undefined : await takeBranch(world, checkout.root, wanted, base);
    try {
      return await addOn(world, checkout, base, branch, options);
    } catch (error) {
      if (!(error instanceof Fault && error.code === "vcs.branch_taken") || tries === MOST_TRIES) throw error;
    }
  }
}

async function addOn(
  world: VcsWorld,
  checkout: Checkout,
  base: string,
  branch: string | undefined,
  { hooks, before }: CreateOptions,
): Promise<void> {
  const quiet = hooks === "off" ? NO_HOOKS : [];
  const run = async (cwd: string, args: readonly string[]) => {
    const result = await runGit(world, cwd, [...quiet, ...args], { okCodes: "any" });
    if (branch !== undefined && /is already (used by worktree|checked out) at /.test(result.stderr))
      throw branchTaken(branch);
    if (result.code !== 0) throw addFault(checkout, args, result);
  };
  const at = branch === undefined ? ["--detach", checkout.path, base] : [checkout.path, branch];
  try {
    const empty = before === undefined ? [] : ["--no-checkout"];
    await run(checkout.root, ["worktree", "add", "--lock", ...empty, ...at]);
    // Of two that are made at once, git's own check may see neither.
    if (branch !== undefined && (await usersOf(world, checkout.root, branch)) > 1) throw branchTaken(branch);
    await before?.();
    const filled = branch === undefined ? ["--detach", "HEAD"] : [branch, "--"];
    if (before !== undefined) await run(checkout.path, ["checkout", "--force", ...filled]);
    const entry = await findEntry(checkout.root, checkout.path);
    if (entry === undefined) return;
    if (branch !== undefined) await noteBranch(entry, branch);
    await unlink(join(entry, "locked"));
  } catch (error) {
    await deleteFolder(checkout.path);
    const entry = await findEntry(checkout.root, checkout.path);
    if (entry !== undefined) await forget(world, checkout.root, entry, branch);
    else if (branch !== undefined) await giveBackBranch(world, checkout.root, branch, base);
    throw error;
  }
}

/** Removes the repository's record of a checkout whose folder is gone, and the checkout's own branch. */
async function forget(world: VcsWorld, root: string, entry: string, branch?: string): Promise<void> {
  await dropBranch(world, root, entry, branch);
  await rm(entry, { recursive: true, force: true });
}

function branchTaken(branch: string): Fault {
  return new Fault(
    "conflict",
    "vcs.branch_taken",
    `The branch ${quote(branch)} was taken by another checkout just now.`,
  );
}

/** A hook may exit with any code; git's output shows whether it was the hook that failed. */
function addFault(checkout: Checkout, args: readonly string[], result: ProgramResult): Fault {
  const filter = /^fatal: .*: smudge filter (\S+) failed$/m.exec(result.stderr)?.[1];
  if (filter !== undefined) return filterFailed(filter, result);
  const said = result.stdout + result.stderr;
  const isComplete = /HEAD is now at|Already on/.test(said) && !/^fatal:/m.test(result.stderr);
  if (!isComplete) return gitFault(checkout.root, args, result);
  return hookFailed("post-checkout", checkout.root, result);
}

function filterFailed(filter: string, { stderr }: ProgramResult): Fault {
  return new Fault(
    "unavailable",
    "vcs.filter_failed",
    `The filter ${quote(filter)} failed, so the files cannot be checked out: ${errorText(stderr)}`,
    [
      { intent: "See the filter's command", command: `git config --get-regexp ${shellWord(`^filter\\.${filter}\\.`)}` },
      { intent: "Prepare it before each checkout", command: "mu workstream set setup.beforeCheckout '…'" },
    ],
    { filter, stderr },
  );
}

export function hookFailed(hook: string, path: string, { code, stderr }: ProgramResult): Fault {
  const output = errorText(stderr.replaceAll(/^(error|fatal): The .* hook refused.*$/gm, ""));
  return new Fault(
    "conflict",
    "vcs.hook_failed",
    `The repository's ${hook} hook failed (exit ${code}): ${output}`,
    [
      { intent: "Find its hooks", command: `git -C ${shellWord(path)} rev-parse --git-path hooks` },
      { intent: "Create workspaces without hooks", command: "mu workstream set setup.hooks off" },
    ],
    { hook, exitCode: code, stderr },
  );
}

/**
 * Removes a linked worktree: first its folder, then the repository's entry, so that a retry after a crash finds it. Not
 * with `git worktree remove`, which refuses worktrees that are incomplete or have submodules. Faults
 * `vcs.worktree_locked` if the user locked it.
 */
export async function remove(world: VcsWorld, { root, path }: Checkout): Promise<void> {
  const entry = await findEntry(root, path);
  const reason = entry === undefined ? undefined : await readText(join(entry, "locked"));
  if (reason !== undefined && !CREATING.includes(reason))
    throw new Fault(
      "conflict",
      "vcs.worktree_locked",
      `The worktree ${quote(path)} is locked${reason === "" ? "" : `: ${reason}`}.`,
      [{ intent: "Unlock it", command: `git -C ${shellWord(root)} worktree unlock ${shellWord(path)}` }],
    );
  await deleteFolder(path);
  if (entry !== undefined) await forget(world, root, entry);
}

/** See `VcsBackend.relink`. */
export async function relink(world: VcsWorld, { root, path }: Checkout): Promise<boolean> {
  if ((await findEntry(root, path)) === undefined) return false;
  await runGit(world, root, ["worktree", "repair", path]);
  return true;
}

/**
 * Removes the scratch checkout: first the repository's entry, then the folder, so that after a crash the next run finds
 * the folder. Its name is unique, and git's entry has the same name.
 */
export async function removeScratch(_world: VcsWorld, root: string, path: string): Promise<void> {
  const entries = await worktreesDirOf(root);
  if (entries !== undefined) await rm(join(entries, basename(path)), { recursive: true, force: true });
  await deleteFolder(path);
}

interface WorkTree {
  path: string;
  /** The full ref of its branch; undefined if HEAD is detached. */
  branch: string | undefined;
}

/** The checkouts of a repository whose folders exist. */
export async function workTrees(world: VcsWorld, root: string): Promise<WorkTree[]> {
  const { stdout } = await runGit(world, root, ["worktree", "list", "--porcelain", "-z"]);
  return stdout.split("\0\0").flatMap((block) => {
    const lines = block.split("\0");
    const fieldOf = (key: string) => lines.find((line) => line.startsWith(`${key} `))?.slice(key.length + 1);
    const path = fieldOf("worktree");
    if (path === undefined || lines.includes("bare") || !existsSync(path)) return [];
    return lines.some((line) => /^prunable\b/.test(line)) ? [] : [{ path, branch: fieldOf("branch") }];
  });
}
