import { lstatSync, readdirSync, readlinkSync, type Stats } from "node:fs";
import { basename, join } from "node:path";
import { sameBytes } from "../none/compare.js";
import type { Checkout, VcsWorld } from "../vcs.js";
import { gitDirOf } from "./git-dir.js";
import { withIndex } from "./private-index.js";
import { gitEntries, gitLine, runGit } from "./run.js";

/** Larger files are not saved, nor what goes beyond this together; in bytes. */
const MAX_FILE = 10 * 1024 * 1024;
const MAX_TOTAL = 10 * MAX_FILE;
const MAX_FILES = 5_000;

/** The ignored files of a checkout that are its own, as relative paths; a folder ends with `/`. */
export interface IgnoredFiles {
  saved: string[];
  /** Too large, too many, or a repository. */
  leftOut: string[];
}

/** Finds the ignored files that are no `caches` (names or paths, with `*`) and neither copies of nor links to the project's. */
export async function ignoredFiles(
  world: VcsWorld,
  { root, path }: Checkout,
  caches: readonly string[],
): Promise<IgnoredFiles> {
  const asked = ["ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"];
  const isCache = matcher(caches);
  const found: IgnoredFiles = { saved: [], leftOut: [] };
  let total = 0;
  const visit = (name: string): void => {
    const stat = lstatSync(join(path, name), { throwIfNoEntry: false });
    if (stat === undefined || isCache(name)) return;
    if (stat.isDirectory()) {
      const names = readdirSync(join(path, name));
      if (names.includes(".git")) found.leftOut.push(`${name}/`);
      else for (const below of names) visit(`${name}/${below}`);
    } else if (isOwn(stat, join(root, name), join(path, name))) {
      const isSmall = stat.size <= MAX_FILE && total + stat.size <= MAX_TOTAL && found.saved.length < MAX_FILES;
      if (isSmall) total += stat.size;
      (isSmall ? found.saved : found.leftOut).push(name);
    }
  };
  for (const entry of await gitEntries(world, path, asked)) visit(entry.replace(/\/$/, ""));
  return found;
}

/** True for names that match a pattern with their last part or, if it has a slash, as a whole. */
function matcher(patterns: readonly string[]): (name: string) => boolean {
  const tests = patterns.map((pattern) => {
    const text = pattern.replace(/^\/|\/$/g, "");
    const source = text.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*");
    return { whole: text.includes("/"), regex: new RegExp(`^${source}$`) };
  });
  return (name) => tests.some(({ whole, regex }) => regex.test(whole ? name : basename(name)));
}

function isOwn(stat: Stats, theirs: string, ours: string): boolean {
  if (stat.isSymbolicLink()) return readlinkSync(ours) !== theirs;
  return stat.isFile() && !sameBytes(theirs, ours);
}

/** The tree of these files, without the rest of the checkout. */
export async function treeOfFiles(world: VcsWorld, path: string, files: readonly string[]): Promise<string> {
  return withIndex(await gitDirOf(path), "empty", async (env) => {
    const input = files.map((file) => `${file}\0`).join("");
    await runGit(world, path, ["update-index", "-z", "--add", "--remove", "--stdin"], { env, input });
    return gitLine(world, path, ["write-tree"], { env });
  });
}

/** Writes the files of a tree into a checkout, over what is there; its index stays as it is. */
export async function putFilesOf(world: VcsWorld, path: string, tree: string): Promise<void> {
  await withIndex(await gitDirOf(path), "empty", async (env) => {
    await runGit(world, path, ["read-tree", tree], { env });
    await runGit(world, path, ["checkout-index", "--all", "--force"], { env });
  });
}
