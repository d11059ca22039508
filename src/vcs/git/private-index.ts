import { constants } from "node:fs";
import { copyFile, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../folders.js";

/** Runs `use` with variables that make git use an index of its own: a copy of that in `gitDir`, or an empty one. */
export function withIndex<T>(
  gitDir: string,
  content: "copy" | "empty",
  use: (env: { GIT_INDEX_FILE: string }) => Promise<T>,
): Promise<T> {
  return withFolder(join(gitDir, "mu-snapshot-"), async (folder) => {
    const index = join(folder, "index");
    if (content === "copy") await copyIndex(join(gitDir, "index"), index);
    return use({ GIT_INDEX_FILE: index });
  });
}

/**
 * Copies an index, if it exists, with its modification time: git rereads files that are not older than the index, so a
 * newer copy would hide changes made right after the index was written.
 */
export async function copyIndex(from: string, to: string): Promise<void> {
  const found = await stat(from).catch(() => undefined);
  if (found === undefined) return;
  await copyFile(from, to, constants.COPYFILE_FICLONE);
  await utimes(to, found.atimeMs / 1000, Math.floor(found.mtimeMs) / 1000);
}
