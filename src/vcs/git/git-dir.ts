import { existsSync } from "node:fs";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { findAbove, realPath } from "../folders.js";
import { noFolder } from "../program.js";
import type { Checkout, VcsWorld } from "../vcs.js";
import { gitLine } from "./run.js";

/** The file's text without its last line break; undefined if it cannot be read. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, "utf8")).replace(/\n$/, "");
  } catch {
    return undefined;
  }
}

/** The git folder of the checkout or bare repository at `path`, found without running git. */
export async function findGitDir(path: string): Promise<string | undefined> {
  const dotGit = join(path, ".git");
  const pointer = await readText(dotGit);
  if (pointer?.startsWith("gitdir: ")) return resolve(path, pointer.slice("gitdir: ".length));
  if (existsSync(join(dotGit, "HEAD"))) return dotGit;
  return existsSync(join(path, "HEAD")) && existsSync(join(path, "objects")) ? path : undefined;
}

/** As `findGitDir`; faults `vcs.no_folder`. */
export async function gitDirOf(path: string): Promise<string> {
  const gitDir = await findGitDir(path);
  if (gitDir === undefined) throw noFolder(path);
  return gitDir;
}

/** The git folder that all checkouts of a repository share, given the git folder of one of them. */
export async function commonDirOf(gitDir: string): Promise<string> {
  const shared = await readText(join(gitDir, "commondir"));
  return shared === undefined ? gitDir : resolve(gitDir, shared);
}

/** The folder where the repository at `root` keeps the entries of its linked worktrees. */
export async function worktreesDirOf(root: string): Promise<string | undefined> {
  const gitDir = await findGitDir(root);
  return gitDir === undefined ? undefined : join(await commonDirOf(gitDir), "worktrees");
}

/** The repository's entry for its worktree at `path`, which need not exist. */
export async function findEntry(root: string, path: string): Promise<string | undefined> {
  const entries = await worktreesDirOf(root);
  if (entries === undefined) return undefined;
  const wanted = await realPath(path);
  for (const name of await readdir(entries).catch(() => [])) {
    const entry = join(entries, name);
    const owner = await readText(join(entry, "gitdir"));
    const checkout = owner === undefined ? undefined : dirname(resolve(entry, owner));
    if (checkout === undefined) continue;
    if ([path, wanted].includes(checkout) || (await realPath(checkout)) === wanted) return entry;
  }
  return undefined;
}

const SHA = /^[0-9a-f]{40}([0-9a-f]{24})?$/;

/** The commit of HEAD, read from files; undefined if only git can resolve it. */
export async function readHead(gitDir: string): Promise<string | undefined> {
  const head = await readText(join(gitDir, "HEAD"));
  if (head === undefined || SHA.test(head)) return head;
  const ref = /^ref: (refs\/.+)$/.exec(head)?.[1];
  if (ref === undefined) return undefined;
  return readRef(await commonDirOf(gitDir), ref);
}

/** The commit of a ref, read from files; undefined if it does not exist or only git can resolve it. */
export async function readRef(common: string, ref: string): Promise<string | undefined> {
  const loose = await readText(join(common, ref));
  if (loose !== undefined) return SHA.test(loose) ? loose : undefined;
  const packed = await readText(join(common, "packed-refs"));
  const line = packed?.split("\n").find((each) => each.endsWith(` ${ref}`));
  return line?.split(" ", 1)[0];
}

/** The short name of the branch that HEAD is on, if any. */
export async function readBranch(gitDir: string): Promise<string | undefined> {
  return /^ref: refs\/heads\/(.+)$/.exec((await readText(join(gitDir, "HEAD"))) ?? "")?.[1];
}

/** The checkout around `folder`, and the main folder of its repository, read from files. */
export async function checkoutAround(folder: string): Promise<Checkout | undefined> {
  const path = findAbove(folder, (at) => (existsSync(join(at, ".git")) ? at : undefined));
  const gitDir = path && (await findGitDir(path));
  if (path === undefined || !gitDir) return undefined;
  const common = await commonDirOf(gitDir);
  return { path, root: common === gitDir ? path : basename(common) === ".git" ? dirname(common) : common };
}

/** The checkout's commit; undefined if its folder or its entry in the repository does not exist. */
export async function headOf(world: VcsWorld, { path }: Checkout): Promise<string | undefined> {
  const gitDir = await findGitDir(path);
  if (gitDir === undefined || !existsSync(gitDir)) return undefined;
  return (await readHead(gitDir)) ?? (await gitLine(world, path, ["rev-parse", "--verify", "HEAD^{commit}"]));
}

const OPERATIONS: readonly (readonly [file: string, operation: string])[] = [
  ["rebase-merge", "rebase"],
  ["rebase-apply", "rebase"],
  ["MERGE_HEAD", "merge"],
  ["CHERRY_PICK_HEAD", "cherry-pick"],
  ["REVERT_HEAD", "revert"],
  ["BISECT_LOG", "bisect"],
];

/** The operation in progress in a checkout, given the names in its git folder. */
export function operationIn(names: readonly string[]): string | null {
  return OPERATIONS.find(([file]) => names.includes(file))?.[1] ?? null;
}

const QUIET_CHECKS = 3;
const MAX_CHECKS = 50;

/**
 * Waits, at most five seconds, until nothing changes in a checkout's git folder: git may outlive the process that
 * started it. A lock on the index counts as a change, because its holder may be filling the work tree.
 */
export async function waitUntilQuiet(gitDir: string): Promise<void> {
  let before = "";
  for (let quiet = 0, checks = 0; quiet < QUIET_CHECKS && checks < MAX_CHECKS; checks += 1) {
    const now = await fingerprint(gitDir);
    quiet = now === before && !now.includes("index.lock") ? quiet + 1 : 0;
    before = now;
    await wait(100);
  }
}

async function fingerprint(gitDir: string): Promise<string> {
  const seen: string[] = [];
  for (const folder of [gitDir, join(gitDir, "rebase-merge")])
    for (const name of await readdir(folder).catch(() => []))
      seen.push(`${name} ${(await stat(join(folder, name)).catch(() => undefined))?.mtimeMs}`);
  return seen.sort().join("\n");
}

/**
 * Removes the locks in a checkout's git folder that are younger than `note`, the file in which an interrupted refresh or
 * restore says what it began. Only for a checkout in which nobody else works: a git that was killed left them.
 */
export async function removeLocksSince(gitDir: string, note: string): Promise<void> {
  const since = await stat(note);
  for (const name of (await readdir(gitDir)).filter((one) => one.endsWith(".lock"))) {
    const made = await stat(join(gitDir, name)).catch(() => undefined);
    if (made !== undefined && made.mtimeMs >= since.mtimeMs) await rm(join(gitDir, name), { force: true });
  }
}
