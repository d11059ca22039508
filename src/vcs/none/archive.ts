import { existsSync } from "node:fs";
import { mkdir, open, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, normalize } from "node:path";
import { Fault } from "../../errors.js";
import { quote } from "../../names.js";
import { runProgram } from "../program.js";
import type { VcsWorld } from "../vcs.js";
import { type Differences, sameBytes } from "./compare.js";

/** What an archive says of itself: how a copy differed from its root. */
interface Manifest {
  root: string;
  path: string;
  changed: string[];
  deleted: string[];
}

/**
 * Writes what differs into a tar at `file`: `manifest.json`, and the changed files under `tree/`. It is whole or not
 * there at all, also after a crash. Not compressed: that takes ten times as long, and only what differs is in it. One
 * that is there already stays; faults `vcs.ref_taken` when it is not the same to the byte.
 */
export async function writeArchive(
  world: VcsWorld,
  file: string,
  { root, path, changed, deleted }: Omit<Differences, "complete"> & { root: string; path: string },
): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const stage = join(dirname(file), `.${basename(file)}.draft`);
  await rm(stage, { recursive: true, force: true });
  try {
    await mkdir(stage, { mode: 0o700 });
    const manifest: Manifest = { root, path, changed, deleted };
    await writeFile(join(stage, "manifest.json"), JSON.stringify(manifest));
    // With its own time in it no archive would be the same as an earlier one.
    await utimes(join(stage, "manifest.json"), 0, 0);
    // tar stores what is behind the symlink under the symlink's name, and gets by without a flag of one tar only.
    await symlink(path, join(stage, "tree"));
    const list = ["manifest.json", ...changed.map((name) => `tree/${name}`)];
    const draft = join(stage, "draft.tar");
    await writeFile(draft, "", { mode: 0o600 });
    await runProgram(world, "tar", ["-c", "-f", draft, "-C", stage, "--null", "-T", "-"], { input: list.join("\0") });
    if (existsSync(file)) {
      if (sameBytes(draft, file)) return;
      throw archiveTaken(file);
    }
    await flush(draft);
    await rename(draft, file);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** An archive is never written over: one of a database that is no more is somebody's only copy. */
function archiveTaken(place: string): Fault {
  return new Fault("conflict", "vcs.ref_taken", `${quote(place)} is there already.`);
}

/** Faults `vcs.no_save` where there is no such archive. */
export async function readManifest(world: VcsWorld, file: string): Promise<Manifest> {
  try {
    const { stdout } = await runProgram(world, "tar", ["-x", "-O", "-f", file, "manifest.json"]);
    return JSON.parse(stdout) as Manifest;
  } catch (error) {
    if (error instanceof Fault && error.code === "vcs.not_installed") throw error;
    throw new Fault("missing", "vcs.no_save", `${quote(file)} is no archive of a workspace, or is not there.`);
  }
}

/** Puts an archive's files into `path` and takes away what it says was deleted. */
export async function unpackArchive(world: VcsWorld, file: string, path: string): Promise<void> {
  const { changed, deleted } = await readManifest(world, file);
  for (const name of deleted) if (isInside(name)) await rm(join(path, name), { recursive: true, force: true });
  if (changed.length === 0) return;
  await runProgram(world, "tar", ["-x", "-p", "-f", file, "-C", path, "--strip-components", "1"]);
}

const isInside = (name: string) => !isAbsolute(name) && name !== "" && !normalize(name).startsWith("..");

async function flush(file: string): Promise<void> {
  const handle = await open(file, "r+");
  await handle.sync();
  await handle.close();
}
