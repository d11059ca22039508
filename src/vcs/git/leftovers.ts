import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import type { Leftover } from "../vcs.js";
import { commonDirOf, findGitDir, readText } from "./git-dir.js";

/** See `VcsBackend.leftovers`. */
export async function leftovers(root: string, folder: string): Promise<Leftover[]> {
  const gitDir = await findGitDir(root);
  if (gitDir === undefined) return [];
  const common = await commonDirOf(gitDir);
  const names = await readdir(join(common, "worktrees")).catch(() => []);
  const entries = names.map((name) => join(common, "worktrees", name));
  const records = await Promise.all(entries.map((entry) => goneCheckout(entry, folder)));
  return [...(await Promise.all([common, ...entries].map(lockIn))), ...records].flat();
}

async function goneCheckout(entry: string, folder: string): Promise<Leftover[]> {
  const owner = await readText(join(entry, "gitdir"));
  const path = owner === undefined ? "" : dirname(resolve(entry, owner));
  if (!path.startsWith(folder + sep) || existsSync(path)) return [];
  return [{ kind: "record", path, changedAt: (await stat(entry)).mtimeMs }];
}

async function lockIn(gitDir: string): Promise<Leftover[]> {
  const path = join(gitDir, "index.lock");
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? [] : [{ kind: "lock", path, changedAt: found.mtimeMs }];
}
