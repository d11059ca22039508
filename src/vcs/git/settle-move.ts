import { existsSync } from "node:fs";
import { lstat, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Move } from "../lander.js";
import type { VcsWorld } from "../vcs.js";
import { isLink, readChanges, type Span } from "./changes.js";
import { commonDirOf, findGitDir, readText } from "./git-dir.js";
import { existingCommits } from "./history.js";
import { withDraft } from "./index-draft.js";
import { findCommit, gitEntries, runGit, runGits } from "./run.js";
import { moveSubmodules } from "./submodules.js";

/** `<mode> <object>` by path; null for a path that does not exist. */
type Entries = ReadonlyMap<string, string | null>;

/**
 * Ends a move that was cut off: the files and index entries that it writes become those of the commit that the checkout
 * is on, the old one or the new one. A file that is neither, and no part of one, is the user's: it is kept, and its path
 * returned. Can be run again. Faults `vcs.*`.
 */
export async function settleMove(world: VcsWorld, move: Move): Promise<string[]> {
  const { path, from, to } = move;
  const gitDir = await findGitDir(path);
  if (gitDir === undefined || !existsSync(gitDir)) return [];
  await removeMoveLocks(gitDir, move);
  return withDraft(path, async (draft) => {
    const head = await findCommit(world, path, "HEAD");
    if (head === undefined || (await existingCommits(world, path, [from, to])).length < 2) return [];
    const spans: Span[] = [
      [from, to],
      [from, head],
    ];
    const [changes = [], elsewhere = []] = await readChanges(world, path, spans);
    const names = changes.map((change) => change.path);
    const old = new Map(changes.map((change) => [change.path, change.before]));
    const young = new Map(changes.map((change) => [change.path, change.after]));
    const wanted = new Map([...old, ...elsewhere.map((change) => [change.path, change.after] as const)]);
    const { entries, absent } = await indexEntries(world, path, draft.env);

    const isFile = (name: string) => !absent.has(name) && ![old, young].some((tree) => isLink(tree.get(name)));
    const compare = { GIT_INDEX_FILE: `${draft.env.GIT_INDEX_FILE}.compare` };
    try {
      const files = await readFiles(world, { path, env: compare }, wanted, names.filter(isFile));
      const off = [...files].filter(([name, entry]) => entry !== wanted.get(name)).map(([name]) => name);
      const isKnown = (name: string) => [old, young].some((tree) => tree.get(name) === files.get(name));
      const kept: string[] = [];
      for (const name of off) if (!isKnown(name) && !(await isTorn(world, path, name, [from, to]))) kept.push(name);
      const stray = off.filter((name) => !kept.includes(name));
      await restoreFiles(world, { path, env: compare }, wanted, stray);
      const stale = names.filter((name) => {
        const entry = entries.get(name) ?? null;
        return entry !== wanted.get(name) && [old.get(name), young.get(name)].includes(entry);
      });
      const gone = `0 ${"0".repeat(head.length)}`;
      await setEntries(world, { path, env: draft.env }, new Map(stale.map((name) => [name, wanted.get(name) ?? gone])));
      await runGit(world, path, REFRESH, { env: draft.env, okCodes: [1], locks: true });
      await draft.keep();
      if (head === to) await moveSubmodules(world, path, changes);
      return kept;
    } finally {
      await rm(compare.GIT_INDEX_FILE, { force: true });
    }
  });
}

/** How long a running git may take to write the commit into its lock of a branch, in ms. */
const LOCKING_MS = 200;

/**
 * Removes the locks of a git that was killed while it moved the branch. Its lock of the branch holds the new commit, or
 * stays empty; a running git fills it at once. A lock with other content belongs to somebody else and stays.
 */
async function removeMoveLocks(gitDir: string, { branch, to }: Move): Promise<void> {
  const lock = join(await commonDirOf(gitDir), "refs", "heads", `${branch}.lock`);
  const head = join(gitDir, "HEAD.lock");
  if ((await readText(lock)) === "") await wait(LOCKING_MS);
  const held = await readText(lock);
  if (held !== "" && held !== to) return;
  if (held === to && (await readText(head)) === "") await rm(head, { force: true });
  await rm(lock, { force: true });
}

const REFRESH = ["update-index", "-q", "--refresh"];

/** A checkout, with the index that git is to use. */
interface Indexed {
  path: string;
  env: { GIT_INDEX_FILE: string };
}

/** The entries of an index, and those that a sparse checkout leaves out. Paths with a conflict have an entry of their own kind. */
async function indexEntries(world: VcsWorld, path: string, env: Indexed["env"]) {
  const entries = new Map<string, string>();
  const absent = new Set<string>();
  for (const line of await gitEntries(world, path, ["ls-files", "-t", "--stage", "-z"], { env })) {
    const [meta = "", name = ""] = line.split("\t", 2);
    const [tag, mode, object, stage] = meta.split(" ");
    entries.set(name, stage === "0" ? `${mode} ${object}` : "conflict");
    if (tag === "S") absent.add(name);
  }
  return { entries, absent };
}

/** What the files of these names are, as git would store them; `wanted` gives their modes where the file system has none. */
async function readFiles(world: VcsWorld, { path, env }: Indexed, wanted: Entries, names: readonly string[]) {
  const kinds = new Map<string, string>();
  for (const name of names) if (await hasFile(path, name)) kinds.set(name, await kindOf(join(path, name)));
  const plain = [...kinds].flatMap(([name, kind]) => (kind === "plain" ? [name] : []));
  await fillIndex(world, { path, env }, wanted, plain);
  const input = plain.map((name) => `${name}\0`).join("");
  await runGit(world, path, ["update-index", "--add", "--remove", "--replace", "--info-only", "-z", "--stdin"], {
    env,
    input,
  });
  const { entries } = await indexEntries(world, path, env);
  return new Map(names.map((name) => [name, kinds.has(name) ? (entries.get(name) ?? "other") : null]));
}

const kindOf = (file: string) =>
  lstat(file).then((found) => (found.isFile() || found.isSymbolicLink() ? "plain" : "other"));

/** Makes the index hold these entries and nothing else. */
async function fillIndex(world: VcsWorld, { path, env }: Indexed, tree: Entries, names: readonly string[]) {
  await rm(env.GIT_INDEX_FILE, { force: true });
  await setEntries(world, { path, env }, new Map(names.map((name) => [name, tree.get(name) ?? null])));
}

/** Puts these entries into the index. */
async function setEntries(world: VcsWorld, { path, env }: Indexed, entries: Entries): Promise<void> {
  const lines = [...entries].flatMap(([name, entry]) => (entry === null ? [] : [`${entry}\t${name}\0`]));
  await runGit(world, path, ["update-index", "-z", "--index-info"], { env, input: lines.join(""), locks: true });
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

async function restoreFiles(world: VcsWorld, { path, env }: Indexed, wanted: Entries, names: readonly string[]) {
  const present = names.filter((name) => (wanted.get(name) ?? null) !== null);
  for (const name of names.filter((one) => !present.includes(one))) {
    if (await hasFile(path, name)) await rm(join(path, name));
    await removeEmptyFolders(path, dirname(name));
  }
  await fillIndex(world, { path, env }, wanted, present);
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
