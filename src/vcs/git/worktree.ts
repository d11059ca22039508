import { chmod, lstat, mkdir, readdir, rm, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Fault } from "../../errors.js";
import { quote, shellWord } from "../../names.js";
import type { Checkout, VcsWorld } from "../vcs.js";
import { findEntry, headOf, isThere, readText, waitForOrphan, worktreesDirOf } from "./git-dir.js";
import { type GitResult, gitFault, gitWords, runGit } from "./run.js";
import { commitOf, target } from "./target.js";

/** A worktree that git or we are still making is locked with one of these reasons; we take the lock away at the end. */
const BEING_MADE = ["initializing", "added with --lock"];

/**
 * Makes a linked worktree with a detached HEAD. It stays locked until it is whole, so that a run that was killed can
 * be told from a checkout that is in use: the first is thrown away and made anew, the second is left as it is.
 * Faults `vcs.unknown_ref`, `vcs.no_commits`, `vcs.no_target`, `vcs.hook_failed`, `vcs.path_taken`.
 */
export async function create(
  world: VcsWorld,
  checkout: Checkout,
  options: { from?: string | undefined },
): Promise<{ base: string }> {
  const made = await settleEarlier(world, checkout);
  if (made !== undefined) return { base: made };
  if (await isTaken(checkout.path)) throw pathTaken(checkout.path);
  const base =
    options.from === undefined
      ? (await target(world, checkout.root)).commit
      : await commitOf(world, checkout.root, options.from);
  await mkdir(dirname(checkout.path), { recursive: true });
  await addWorktree(world, checkout, base);
  return { base };
}

/** Deals with what an earlier run left: the commit of a whole checkout, or undefined when the way is free. */
async function settleEarlier(world: VcsWorld, checkout: Checkout): Promise<string | undefined> {
  const entry = await findEntry(checkout.root, checkout.path);
  if (entry === undefined) return undefined;
  const reason = await readText(join(entry, "locked"));
  const halfMade = reason !== undefined && BEING_MADE.includes(reason);
  if (!halfMade && (await isThere(join(checkout.path, ".git")))) return headOf(world, checkout);
  if (!halfMade && (await isTaken(checkout.path))) throw pathTaken(checkout.path);
  await waitForOrphan(entry);
  await clearFolder(checkout.path);
  await rm(entry, { recursive: true, force: true });
  return undefined;
}

async function isTaken(path: string): Promise<boolean> {
  try {
    return (await readdir(path)).length > 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ENOENT";
  }
}

function pathTaken(path: string): Fault {
  return new Fault("conflict", "vcs.path_taken", `${quote(path)} is there already and is not empty.`, [
    { intent: "See what is in it", command: `ls -la ${shellWord(path)}` },
  ]);
}

async function addWorktree(world: VcsWorld, checkout: Checkout, base: string): Promise<void> {
  const args = ["worktree", "add", "--detach", "--lock", checkout.path, base];
  try {
    const result = await runGit(world, checkout.root, args, { okCodes: EVERY_CODE });
    if (result.code !== 0) throw addFault(checkout, args, result);
    const entry = await findEntry(checkout.root, checkout.path);
    if (entry !== undefined) await unlink(join(entry, "locked"));
  } catch (error) {
    await takeBack(checkout);
    throw error;
  }
}

/** A hook's exit code may be any; whose it is shows in what git printed. */
const EVERY_CODE = Array.from({ length: 256 }, (_, code) => code);

function addFault(checkout: Checkout, args: readonly string[], result: GitResult): Fault {
  const whole = result.stdout.includes("HEAD is now at") && !/^fatal:/m.test(result.stderr);
  if (!whole) return gitFault(checkout.root, args, result);
  return new Fault(
    "conflict",
    "vcs.hook_failed",
    `The repository's post-checkout hook refused the new checkout (exit ${result.code}): ${gitWords(result.stderr)}`,
    [{ intent: "See where its hooks are", command: `git -C ${shellWord(checkout.root)} rev-parse --git-path hooks` }],
    { hook: "post-checkout", exitCode: result.code, stderr: result.stderr },
  );
}

async function takeBack(checkout: Checkout): Promise<void> {
  await clearFolder(checkout.path);
  const entry = await findEntry(checkout.root, checkout.path);
  if (entry !== undefined) await rm(entry, { recursive: true, force: true });
}

/**
 * Takes a linked worktree away: its folder first, then what the repository knows of it, so that a run that was killed
 * finds its way again. By hand, because git refuses worktrees with submodules and half-made ones. Faults
 * `vcs.worktree_locked` when a person locked it.
 */
export async function remove(_world: VcsWorld, { root, path }: Checkout): Promise<void> {
  const entry = await findEntry(root, path);
  const reason = entry === undefined ? undefined : await readText(join(entry, "locked"));
  if (reason !== undefined && !BEING_MADE.includes(reason)) throw lockedByPerson(root, path, reason);
  await clearFolder(path);
  if (entry !== undefined) await rm(entry, { recursive: true, force: true });
}

function lockedByPerson(root: string, path: string, reason: string): Fault {
  const why = reason === "" ? "" : `: ${reason}`;
  return new Fault("conflict", "vcs.worktree_locked", `Somebody locked the worktree ${quote(path)}${why}.`, [
    { intent: "Unlock it", command: `git -C ${shellWord(root)} worktree unlock ${shellWord(path)}` },
  ]);
}

/** Deletes a folder with all in it, also what was made read-only (package caches do that); one that is gone is fine. */
async function clearFolder(path: string): Promise<void> {
  try {
    await rm(path, OPTIONS);
  } catch (error) {
    if (!["EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    await makeWritable(path);
    await rm(path, OPTIONS);
  }
}

const OPTIONS = { recursive: true, force: true, maxRetries: 5, retryDelay: 50 };

async function makeWritable(folder: string): Promise<void> {
  if (!(await lstat(folder)).isDirectory()) return;
  await chmod(folder, 0o700);
  for (const name of await readdir(folder)) await makeWritable(join(folder, name));
}

/**
 * What the repository knows of it goes first, and its folder last: as long as the folder is there, whoever comes after a
 * crash finds it. Its name is like no other, and git's entry has the same.
 */
export async function removeScratch(_world: VcsWorld, root: string, path: string): Promise<void> {
  const entries = await worktreesDirOf(root);
  if (entries !== undefined) await rm(join(entries, basename(path)), { recursive: true, force: true });
  await clearFolder(path);
}
