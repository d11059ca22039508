import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VcsWorld } from "../../vcs.js";
import { commonDirOf, gitDirOf } from "../git-dir.js";
import { runGit } from "../run.js";

/** A place for what a prediction makes. */
export interface Quarantine {
  /** The same world, in which git writes new objects to `folder` and finds the repository's own as well. */
  world: VcsWorld;
  /** Empty, private, and gone afterwards. */
  folder: string;
}

/**
 * Lets `work` make trees and commits of the repository at `root` without leaving one object in it: they go to a
 * folder that has the repository's objects as its alternate, and which is removed at the end. Faults `vcs.no_folder`.
 */
export async function inQuarantine<T>(
  world: VcsWorld,
  root: string,
  work: (quarantine: Quarantine) => Promise<T>,
): Promise<T> {
  const own = join(await commonDirOf(await gitDirOf(root)), "objects");
  const folder = await mkdtemp(join(world.env["TMPDIR"] || tmpdir(), "mu-radar-"));
  try {
    const objects = join(folder, "objects");
    await mkdir(objects);
    const env = { GIT_OBJECT_DIRECTORY: objects, GIT_ALTERNATE_OBJECT_DIRECTORIES: alternate(own) };
    const exec: VcsWorld["exec"] = (file, args, options = {}) =>
      world.exec(file, args, { ...options, env: { ...options.env, ...env } });
    return await work({ world: { ...world, exec }, folder });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One path in a list that is separated by colons. */
const alternate = (path: string) => (/[:"\n]/.test(path) ? JSON.stringify(path) : path);

/** A tree that shall be a commit on another. */
interface Unborn {
  tree: string;
  parent: string;
}

/** Makes commits that nothing refers to, all in one run of git; the same input gives the same commits. */
export async function makeCommits(
  { world, folder }: Quarantine,
  root: string,
  unborn: readonly Unborn[],
): Promise<string[]> {
  if (unborn.length === 0) return [];
  const files = unborn.map((_, n) => join(folder, `commit-${n}`));
  await Promise.all(unborn.map((one, n) => writeFile(files[n] ?? "", textOf(one))));
  const args = ["hash-object", "-t", "commit", "-w", "--no-filters", "--stdin-paths"];
  const { stdout } = await runGit(world, root, args, { input: files.map((file) => `${file}\n`).join("") });
  return stdout.trimEnd().split("\n");
}

function textOf({ tree, parent }: Unborn): string {
  const nobody = "mu <mu@localhost> 946684800 +0000";
  return `tree ${tree}\nparent ${parent}\nauthor ${nobody}\ncommitter ${nobody}\n\nradar\n`;
}
