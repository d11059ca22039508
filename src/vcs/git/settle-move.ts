import { existsSync } from "node:fs";
import { lstat, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Move } from "../lander.js";
import type { VcsWorld } from "../vcs.js";
import { findGitDir } from "./git-dir.js";
import { type IndexDraft, withDraft } from "./index-draft.js";
import { findCommit, gitEntries, runGit, runGits } from "./run.js";
import { moveSubmodules } from "./submodules.js";

/** `<mode> <object>` by path. */
type Entries = ReadonlyMap<string, string>;

/**
 * Ends a move that was cut off: the files and index entries that it writes become those of the commit that the checkout
 * is on, the old one or the new one. A file that is neither, and no part of one, is the user's: it is kept, and its path
 * returned. Can be run again. Faults `vcs.*`.
 */
export async function settleMove(world: VcsWorld, move: Move): Promise<string[]> {
  const { path, from, to } = move;
  const gitDir = await findGitDir(path);
  if (gitDir === undefined || !existsSync(gitDir)) return [];
  return withDraft(path, async (draft) => {
    const names = await changedPaths(world, path, { from, to });
    const head = await findCommit(world, path, "HEAD");
    if (names === undefined || head === undefined) return [];
    const [wanted, old, young] = await Promise.all([head, from, to].map((tree) => entriesOf(world, path, tree, names)));
    if (wanted === undefined || old === undefined || young === undefined) return [];
    const { entries, absent } = await indexEntries(world, path, draft, names);

    const files = names.filter((name) => !absent.has(name) && ![old, young].some((tree) => isLink(tree.get(name))));
    const compare = `${draft.env.GIT_INDEX_FILE}.compare`;
    const differing = (tree: Entries, some: readonly string[]) => differingFiles(world, { path, compare }, tree, some);
    try {
      const off = await differing(wanted, files);
      const notOld = new Set(await differing(old, off));
      const unknown = (await differing(young, off)).filter((name) => notOld.has(name));
      const kept: string[] = [];
      for (const name of unknown) if (!(await isTorn(world, path, name, [from, to]))) kept.push(name);
      await restoreFiles(
        world,
        { path, compare },
        wanted,
        off.filter((name) => !kept.includes(name)),
      );
      const stale = names.filter((name) => {
        const entry = entries.get(name);
        return entry !== wanted.get(name) && [old.get(name), young.get(name)].includes(entry);
      });
      const gone = `0 ${"0".repeat(head.length)}`;
      const lines = stale.map((name) => `${wanted.get(name) ?? gone}\t${name}\0`);
      await setEntries(world, path, draft, lines);
      if (head === to) await moveSubmodules(world, move);
      return kept;
    } finally {
      await rm(compare, { force: true });
    }
  });
}

/** All paths that differ between the commits; undefined if the repository has lost one of them. */
async function changedPaths(world: VcsWorld, path: string, { from, to }: { from: string; to: string }) {
  const args = ["diff-tree", "-r", "--name-only", "--no-renames", "-z", from, to];
  const { code, stdout } = await runGit(world, path, args, { okCodes: [128] });
  return code === 0 ? stdout.split("\0").filter(Boolean) : undefined;
}

const isLink = (entry: string | undefined) => entry?.startsWith("160000 ") === true;

async function entriesOf(world: VcsWorld, path: string, tree: string, names: readonly string[]): Promise<Entries> {
  const lines = await gitEntries(world, path, ["ls-tree", "-r", "-z", "--full-tree", tree]);
  const wanted = new Set(names);
  const entries = lines.flatMap((line): [string, string][] => {
    const [meta = "", name = ""] = line.split("\t", 2);
    const [mode, , object] = meta.split(" ");
    return wanted.has(name) ? [[name, `${mode} ${object}`]] : [];
  });
  return new Map(entries);
}

/** The entries of the index, and those that a sparse checkout leaves out. Paths with a conflict have an entry of their own kind. */
async function indexEntries(world: VcsWorld, path: string, { env }: IndexDraft, names: readonly string[]) {
  const { stdout } = await runGit(world, path, ["ls-files", "-t", "--stage", "-z"], { env });
  const wanted = new Set(names);
  const entries = new Map<string, string>();
  const absent = new Set<string>();
  for (const line of stdout.split("\0")) {
    const [meta = "", name = ""] = line.split("\t", 2);
    if (!wanted.has(name)) continue;
    const [tag, mode, object, stage] = meta.split(" ");
    entries.set(name, stage === "0" ? `${mode} ${object}` : "conflict");
    if (tag === "S") absent.add(name);
  }
  return { entries, absent };
}

interface Compared {
  path: string;
  /** An index for this alone. */
  compare: string;
}

/** Those of `names` whose files are not as `tree` has them. */
async function differingFiles(
  world: VcsWorld,
  { path, compare }: Compared,
  tree: Entries,
  names: readonly string[],
): Promise<string[]> {
  await fillIndex(world, { path, compare }, tree, names);
  const env = { GIT_INDEX_FILE: compare };
  await runGit(world, path, ["update-index", "-q", "--refresh"], { env, okCodes: [1] });
  const { stdout } = await runGit(world, path, ["diff-files", "--name-only", "--no-renames", "-z"], { env });
  const changed = new Set(stdout.split("\0"));
  const extra = await Promise.all(names.map(async (name) => !tree.has(name) && (await hasFile(path, name))));
  return names.filter((name, at) => changed.has(name) || extra[at]);
}

async function fillIndex(world: VcsWorld, { path, compare }: Compared, tree: Entries, names: readonly string[]) {
  await rm(compare, { force: true });
  const lines = names.flatMap((name) => (tree.has(name) ? [`${tree.get(name)}\t${name}\0`] : []));
  const options = { env: { GIT_INDEX_FILE: compare }, input: lines.join(""), locks: true };
  await runGit(world, path, ["update-index", "-z", "--index-info"], options);
}

/** True if something that is not a folder is there, in real folders all the way down. */
export async function hasFile(path: string, name: string): Promise<boolean> {
  const parts = name.split("/");
  for (let depth = 1; depth <= parts.length; depth++) {
    const found = await lstat(join(path, ...parts.slice(0, depth))).catch(() => undefined);
    if (found === undefined) return false;
    if (!found.isDirectory()) return depth === parts.length;
  }
  return false;
}

const IS_START =
  'size=$(wc -c < "$2") && git cat-file --filters "$1" 2>/dev/null | head -c "$((size))" | cmp -s - "$2"';

/** True for a missing file, and for one that is the start of what one of the commits has there. */
async function isTorn(world: VcsWorld, path: string, name: string, commits: readonly string[]): Promise<boolean> {
  if (!(await hasFile(path, name))) return true;
  if (!(await lstat(join(path, name))).isFile()) return false;
  for (const commit of commits) {
    if ((await runGits(world, path, IS_START, [`${commit}:${name}`, name])) !== undefined) return true;
  }
  return false;
}

async function restoreFiles(world: VcsWorld, { path, compare }: Compared, wanted: Entries, names: readonly string[]) {
  for (const name of names.filter((one) => !wanted.has(one))) {
    if (await hasFile(path, name)) await rm(join(path, name));
    await removeEmptyFolders(path, dirname(name));
  }
  const present = names.filter((name) => wanted.has(name));
  await fillIndex(world, { path, compare }, wanted, present);
  const env = { GIT_INDEX_FILE: compare };
  await runGit(world, path, ["checkout-index", "--all", "--force", "--quiet"], { env, locks: true });
}

async function removeEmptyFolders(path: string, folder: string): Promise<void> {
  for (let at = folder; at !== "."; at = dirname(at)) {
    const isGone = await rmdir(join(path, at)).then(
      () => true,
      (error: NodeJS.ErrnoException) => error.code === "ENOENT",
    );
    if (!isGone) return;
  }
}

/** Puts these lines into the index, and reads the dates of the files again. */
async function setEntries(world: VcsWorld, path: string, { env, keep }: IndexDraft, lines: readonly string[]) {
  await runGit(world, path, ["update-index", "-z", "--index-info"], { env, input: lines.join(""), locks: true });
  await runGit(world, path, ["update-index", "-q", "--refresh"], { env, okCodes: [1], locks: true });
  await keep();
}
