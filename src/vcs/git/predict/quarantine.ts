import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryFolder, withFolder } from "../../folders.js";
import type { VcsWorld } from "../../vcs.js";
import { commonDirOf, gitDirOf } from "../git-dir.js";
import { runGit, withConfig } from "../run.js";

/** Where a forecast keeps its objects. */
export interface Quarantine {
  /** Makes git write new objects to `folder` and read the repository's own as well. */
  world: VcsWorld;
  /** Temporary, empty and private. */
  folder: string;
}

/**
 * Lets `work` create objects without adding any to the repository at `root`: they go to a temporary folder that has the
 * repository's objects as its alternate. Faults `vcs.no_folder`.
 */
export async function inQuarantine<T>(
  world: VcsWorld,
  root: string,
  work: (quarantine: Quarantine) => Promise<T>,
): Promise<T> {
  const own = join(await commonDirOf(await gitDirOf(root)), "objects");
  return withFolder(join(temporaryFolder(world), "mu-radar-"), async (folder) => {
    const objects = join(folder, "objects");
    await mkdir(objects);
    const unsynced = { GIT_CONFIG_PARAMETERS: withConfig(world.env, "'core.fsync=none'") };
    const env = { GIT_OBJECT_DIRECTORY: objects, GIT_ALTERNATE_OBJECT_DIRECTORIES: alternate(own), ...unsynced };
    const exec: VcsWorld["exec"] = (file, args, options = {}) =>
      world.exec(file, args, { ...options, env: { ...options.env, ...env } });
    return work({ world: { ...world, exec }, folder });
  });
}

/** A path in a colon-separated list. */
const alternate = (path: string) => (/[:"\n]/.test(path) ? JSON.stringify(path) : path);

interface NewCommit {
  tree: string;
  parent: string;
}

/** Creates unreferenced commits in one git process; the same input gives the same commits. */
export async function makeCommits(
  { world, folder }: Quarantine,
  root: string,
  commits: readonly NewCommit[],
): Promise<string[]> {
  if (commits.length === 0) return [];
  const files = commits.map((_, n) => join(folder, `commit-${n}`));
  await Promise.all(commits.map((one, n) => writeFile(files[n] ?? "", textOf(one))));
  const args = ["hash-object", "-t", "commit", "-w", "--no-filters", "--stdin-paths"];
  const { stdout } = await runGit(world, root, args, { input: files.map((file) => `${file}\n`).join("") });
  return stdout.trimEnd().split("\n");
}

function textOf({ tree, parent }: NewCommit): string {
  const nobody = "mu <mu@localhost> 946684800 +0000";
  return `tree ${tree}\nparent ${parent}\nauthor ${nobody}\ncommitter ${nobody}\n\nradar\n`;
}
