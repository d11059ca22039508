import { join } from "node:path";
import { temporaryFolder, withFolder } from "../folders.js";
import type { VcsWorld } from "../vcs.js";
import { gitDirOf } from "./git-dir.js";
import { NO_HOOKS, runGit } from "./run.js";

/** Where to run git, and how, so that it reads a commit's attributes. */
interface Attributes {
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
  return withFolder(join(temporaryFolder(world), "mu-attributes-"), async (folder) => {
    const env = { GIT_DIR: await gitDirOf(root), GIT_WORK_TREE: folder };
    const args = [...NO_HOOKS, "checkout", "--quiet", commit, "--", ":(top,glob)**/.gitattributes"];
    const index = { GIT_INDEX_FILE: join(folder, "index") };
    const found = await runGit(world, folder, args, { env: { ...env, ...index }, okCodes: [1] });
    return found.code === 0 ? act({ folder, env }) : undefined;
  });
}
