import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VcsWorld } from "../../vcs.js";
import { commonDirOf } from "../places.js";
import { gitDirOf } from "../snapshot.js";

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
