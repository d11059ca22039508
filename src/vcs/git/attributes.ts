import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { VcsWorld } from "../vcs.js";
import { gitDirOf } from "./git-dir.js";
import { runGit } from "./run.js";

/** Where to run git, and how, so that it reads a commit's attributes. */
export interface Attributes {
  folder: string;
  env: Record<string, string>;
}

/**
 * Runs `act` so that git reads the attributes of `commit`: it looks for them in a work tree, so there is one with
 * nothing else in it. Undefined if the commit has none.
 */
export async function withAttributes<T>(
  { world, root }: { world: VcsWorld; root: string },
  commit: string,
  act: (attributes: Attributes) => Promise<T>,
): Promise<T | undefined> {
  const listed = await runGit(world, root, ["ls-tree", "-r", "-z", "--name-only", "--full-tree", commit]);
  const files = listed.stdout.split("\0").filter((path) => /(^|\/)\.gitattributes$/.test(path));
  if (files.length === 0) return undefined;
  const folder = await mkdtemp(join(tmpdir(), "mu-attributes-"));
  try {
    for (const file of files) {
      const { stdout } = await runGit(world, root, ["cat-file", "blob", `${commit}:${file}`]);
      await mkdir(dirname(join(folder, file)), { recursive: true });
      await writeFile(join(folder, file), stdout);
    }
    return await act({ folder, env: { GIT_DIR: await gitDirOf(root), GIT_WORK_TREE: folder } });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
