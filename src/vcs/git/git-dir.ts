import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { Fault } from "../../errors.js";
import { quote } from "../../names.js";
import type { Checkout, VcsWorld } from "../vcs.js";
import { gitLine } from "./run.js";

/** The file's text without its last line break; undefined when it cannot be read. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, "utf8")).replace(/\n$/, "");
  } catch {
    return undefined;
  }
}

/** Whether something is at `path`. */
export async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** The git folder of the checkout or bare repository at `path`, found without running git; undefined when none is. */
export async function findGitDir(path: string): Promise<string | undefined> {
  const dotGit = join(path, ".git");
  const pointer = await readText(dotGit);
  if (pointer?.startsWith("gitdir: ")) return resolve(path, pointer.slice("gitdir: ".length));
  if (await isThere(join(dotGit, "HEAD"))) return dotGit;
  return (await isThere(join(path, "HEAD"))) && (await isThere(join(path, "objects"))) ? path : undefined;
}

/** The git folder that all checkouts of a repository share, from the one of any of them. */
export async function commonDirOf(gitDir: string): Promise<string> {
  const shared = await readText(join(gitDir, "commondir"));
  return shared === undefined ? gitDir : resolve(gitDir, shared);
}

/** The folder in which the repository at `root` keeps what it knows of its linked checkouts. */
export async function worktreesDirOf(root: string): Promise<string | undefined> {
  const gitDir = await findGitDir(root);
  return gitDir === undefined ? undefined : join(await commonDirOf(gitDir), "worktrees");
}

/**
 * What the repository at `root` keeps of its checkout at `path`, found from the repository's side: the checkout may be
 * gone. Undefined when it keeps nothing.
 */
export async function findEntry(root: string, path: string): Promise<string | undefined> {
  const entries = await worktreesDirOf(root);
  if (entries === undefined) return undefined;
  const wanted = await realPath(path);
  const names = await readdir(entries).catch(() => []);
  const folders = names.map((name) => join(entries, name));
  const owners = await Promise.all(folders.map(async (folder) => readText(join(folder, "gitdir"))));
  const matches = await Promise.all(
    owners.map(async (owner, at) => {
      if (owner === undefined) return false;
      const checkout = dirname(resolve(folders[at] ?? "", owner));
      return checkout === path || checkout === wanted || (await realPath(checkout)) === wanted;
    }),
  );
  return folders[matches.indexOf(true)];
}

/** The path with links followed, as far as it is there: a folder that is gone has a parent that may be a link. */
async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(await realPath(parent), path.slice(parent.length));
  }
}

const SHA = /^[0-9a-f]{40}([0-9a-f]{24})?$/;

/** The commit that HEAD of `gitDir` is at, read from files; undefined when git itself must be asked. */
export async function readHead(gitDir: string): Promise<string | undefined> {
  const head = await readText(join(gitDir, "HEAD"));
  if (head === undefined || SHA.test(head)) return head;
  const ref = /^ref: (refs\/.+)$/.exec(head)?.[1];
  if (ref === undefined) return undefined;
  const common = await commonDirOf(gitDir);
  const loose = await readText(join(common, ref));
  if (loose !== undefined) return SHA.test(loose) ? loose : undefined;
  const packed = await readText(join(common, "packed-refs"));
  const line = packed?.split("\n").find((each) => each.endsWith(` ${ref}`));
  return line?.split(" ", 1)[0];
}

/** The branch that HEAD of `gitDir` is on, by its short name; undefined when it is on none. */
export async function readBranch(gitDir: string): Promise<string | undefined> {
  return /^ref: refs\/heads\/(.+)$/.exec((await readText(join(gitDir, "HEAD"))) ?? "")?.[1];
}

/** The commit that the checkout is at; undefined when its folder, or its tie to the repository, is gone. */
export async function headOf(world: VcsWorld, { path }: Checkout): Promise<string | undefined> {
  const gitDir = await findGitDir(path);
  if (gitDir === undefined || !(await isThere(gitDir))) return undefined;
  return (await readHead(gitDir)) ?? (await gitLine(world, path, ["rev-parse", "--verify", "HEAD^{commit}"]));
}

const STEP_MS = 100;

/** Looks that must show the same before nobody is taken to be at work. */
const CALM = 3;

const MOST_LOOKS = 50;

/**
 * Waits until nothing moves in a checkout's git folder, at most five seconds: whoever ran git there may have been
 * killed, and git not. A lock on the index counts as moving, as its holder shows nothing while it fills the work tree.
 */
export async function waitForOrphan(gitDir: string): Promise<void> {
  let before = "";
  for (let calm = 0, looks = 0; calm < CALM && looks < MOST_LOOKS; looks += 1) {
    const now = await look(gitDir);
    calm = now === before && !now.includes("index.lock") ? calm + 1 : 0;
    before = now;
    await wait(STEP_MS);
  }
}

async function look(gitDir: string): Promise<string> {
  const seen: string[] = [];
  for (const folder of [gitDir, join(gitDir, "rebase-merge")])
    for (const name of await readdir(folder).catch(() => []))
      seen.push(`${name} ${(await stat(join(folder, name)).catch(() => undefined))?.mtimeMs}`);
  return seen.sort().join("\n");
}

/** The git folder of a checkout that has to be there; faults `vcs.no_folder`. */
export async function gitDirOf(path: string): Promise<string> {
  const gitDir = await findGitDir(path);
  if (gitDir !== undefined) return gitDir;
  throw new Fault("missing", "vcs.no_folder", `There is no git checkout at ${quote(path)} any more.`, [], { path });
}

const UNDERWAY: readonly (readonly [file: string, what: string])[] = [
  ["rebase-merge", "rebase"],
  ["rebase-apply", "rebase"],
  ["MERGE_HEAD", "merge"],
  ["CHERRY_PICK_HEAD", "cherry-pick"],
  ["REVERT_HEAD", "revert"],
  ["BISECT_LOG", "bisect"],
];

/** What somebody began in a checkout and did not end, by the names in its git folder; null for nothing. */
export function underwayIn(names: readonly string[]): string | null {
  return UNDERWAY.find(([file]) => names.includes(file))?.[1] ?? null;
}
