import { insteadOfFault } from "../errors.js";
import type { Host } from "../host.js";
import { detectBackend } from "../vcs/backends.js";
import { gitEntries } from "../vcs/git/run.js";

/** All files of a checkout as a tree of its repository, untracked ones too; null where there is none. */
export async function treeOf(host: Host, cwd: string): Promise<string | null> {
  const { backend, root } = await detectBackend(host, cwd);
  const snapshot =
    backend.key === "git"
      ? await backend.snapshot(host, { root, path: root }).catch(insteadOfFault(undefined))
      : undefined;
  return snapshot?.tree ?? null;
}

/** The files that differ from `tree` now, relative to the checkout. */
export async function changedFiles(host: Host, cwd: string, tree: string): Promise<string[]> {
  const now = await treeOf(host, cwd);
  if (now === null || now === tree) return [];
  return gitEntries(host, cwd, ["diff", "--name-only", "-z", "--no-renames", tree, now]);
}
