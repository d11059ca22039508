import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { mkdir, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join, relative, sep } from "node:path";
import { Fault } from "../../errors.js";
import { enumerate, quote } from "../../names.js";
import { writeWhole } from "../../whole-file.js";
import { copyFolder, deleteFolder, isTaken, realPath } from "../folders.js";
import { noFolder, pathTaken } from "../program.js";
import type { Checkout, Standing, VcsBackend, VcsWorld } from "../vcs.js";
import { readManifest, unpackArchive, writeArchive } from "./archive.js";
import { compareTrees, type Differences } from "./compare.js";

/** `standings` compares at most this many files of each copy; beyond that, `dirty` is null. */
const MAX_FILES = 100_000;

/** A folder without version control, or used without it: a workspace is a copy, and a save is what differs from the original. */
export const noneBackend: VcsBackend = {
  key: "none",
  knowsItsSaves: true,
  findRoot: async (_world, folder) => ((await isFolder(folder)) ? originOf(await realpath(folder)) : undefined),
  target: async () => null,
  create: createCopy,
  remove: removeCopy,
  standings: async (_world, root, paths) => paths.map((path) => standing(root, path)),
  head: async (_world, { path }) => (existsSync(path) ? null : undefined),
  commits: async (_world, { path }) => needsRepository("Commits", path),
  diff: async (_world, { path }) => needsRepository("A diff", path),
  refresh: async (_world, { path }) => needsRepository("A refresh", path),
  snapshot: async () => undefined,
  async save(world, checkout, { name, archives }) {
    const { path } = checkout;
    if (!existsSync(path)) return null;
    const { changed, deleted } = differences(checkout, Number.POSITIVE_INFINITY);
    const files = new Set([...changed, ...deleted]).size;
    if (files === 0) return null;
    const place = join(archives, `${name}.tar`);
    await writeArchive(world, place, { root: checkout.root, path, changed, deleted });
    return { place, commit: null, commits: 0, files };
  },
  restore: restoreCopy,
  isRestoring,
  async describe(world, _root, place) {
    const { changed, deleted } = await readManifest(world, place);
    const lines = [`${changed.length} changed or added, ${deleted.length} deleted, in an archive`];
    if (changed.length > 0) lines.push(`  changed  ${enumerate(changed, 20)}`);
    if (deleted.length > 0) lines.push(`  deleted  ${enumerate(deleted, 20)}`);
    return lines.join("\n");
  },
  listSaved: async () => [],
};

/** Copies to a draft and renames it when it is complete, so that half a copy is never used. */
async function createCopy(world: VcsWorld, { root, path }: Checkout): Promise<{ base: null }> {
  await checkRoot(world, root, path);
  const { draft, marker } = beside(path);
  if (await isTaken(path)) {
    if (existsSync(marker)) return { base: null };
    throw pathTaken(path);
  }
  await deleteFolder(draft);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    await copyFolder(world, root, draft);
    await rm(marker, { force: true });
    await writeWhole(marker, root);
    await rename(draft, path);
  } catch (error) {
    await deleteFolder(draft);
    throw error;
  }
  return { base: null };
}

async function removeCopy(_world: VcsWorld, { path }: Checkout): Promise<void> {
  const { draft, marker, restoring } = beside(path);
  await deleteFolder(draft);
  await deleteFolder(path);
  for (const file of [restoring, marker]) await rm(file, { force: true });
}

async function isRestoring({ path }: Checkout, place: string): Promise<boolean> {
  return (await readFile(beside(path).restoring, "utf8").catch(() => "")) === place;
}

/** A killed restore leaves a file beside the copy with the name of the save, whose files may be overwritten. */
async function restoreCopy(world: VcsWorld, checkout: Checkout, place: string): Promise<void> {
  const { restoring } = beside(checkout.path);
  const wasBegun = await isRestoring(checkout, place);
  const own = wasBegun ? await readManifest(world, place) : { changed: [], deleted: [] };
  const expected = new Set([...own.changed, ...own.deleted]);
  const { changed, deleted } = differences(checkout, MAX_FILES);
  const others = [...changed, ...deleted].filter((file) => !expected.has(file));
  if (others.length > 0) throw dirtyCopy(checkout.path, others);
  await writeWhole(restoring, place);
  await unpackArchive(world, place, checkout.path);
  await rm(restoring);
}

/** The root of a copy is the folder it was copied from. */
async function originOf(folder: string): Promise<string> {
  for (let at = folder; at !== dirname(at); at = dirname(at)) {
    const root = await readFile(beside(at).marker, "utf8").catch(() => "");
    if (root !== "") return root;
  }
  return folder;
}

/**
 * Hidden names beside a copy: where it is being made, a file that names its root and whose time is when it was complete,
 * and a file that names the save being restored.
 */
function beside(path: string): { draft: string; marker: string; restoring: string } {
  const hidden = join(dirname(path), `.${basename(path)}`);
  return { draft: `${hidden}.draft`, marker: `${hidden}.copied`, restoring: `${hidden}.restoring` };
}

/** Faults `vcs.no_folder`, `vcs.home_as_root` and `vcs.copy_into_itself`. */
async function checkRoot(world: VcsWorld, root: string, path: string): Promise<void> {
  if (!(await isFolder(root))) throw noFolder(root);
  const real = await realpath(root);
  const home = await realpath(world.env["HOME"] || homedir()).catch(() => undefined);
  if (real === sep || (home !== undefined && isWithin(home, real)))
    throw new Fault(
      "conflict",
      "vcs.home_as_root",
      `${quote(root)} ${real === home ? "is" : "contains"} your home directory; a workspace would copy all of it.`,
      [{ intent: "Use the project's folder", command: "mu workspace create <agent> --project-root <folder>" }],
      { root },
    );
  if (isWithin(await realPath(path), real))
    throw new Fault(
      "conflict",
      "vcs.copy_into_itself",
      `${quote(root)} contains the workspaces folder ${quote(dirname(path))}; a copy would contain itself.`,
      [{ intent: "Keep mu's files elsewhere", command: "export MU_STATE_DIR=~/.local/state/mu" }],
      { root, path },
    );
}

const isWithin = (inner: string, outer: string) => {
  const way = relative(outer, inner);
  return way === "" || (way !== ".." && !way.startsWith(`..${sep}`));
};

function standing(root: string, path: string): Standing {
  const present = existsSync(path);
  const dirty = present && existsSync(root) ? countDirty({ root, path }) : null;
  return { path, present, head: null, behind: null, ahead: null, dirty, underway: null };
}

/** Null if it cannot be counted, or not quickly. */
function countDirty(checkout: Checkout): number | null {
  try {
    const found = differences(checkout, MAX_FILES);
    return found.complete ? new Set([...found.changed, ...found.deleted]).size : null;
  } catch {
    return null;
  }
}

/** A copy whose root is gone or unknown differs from it in everything. */
function differences({ root, path }: Checkout, limit: number): Differences {
  const { marker } = beside(path);
  const orphaned = !existsSync(root) || realpathSync(root) === realpathSync(path);
  if (orphaned) return { changed: readdirSync(path), deleted: [], complete: true };
  return compareTrees(root, path, existsSync(marker) ? statSync(marker).ctimeMs : null, limit);
}

const isFolder = (folder: string) =>
  stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );

function needsRepository(what: string, path: string): never {
  throw new Fault(
    "conflict",
    "vcs.required",
    `${what} needs version control, and the workspace at ${quote(path)} is a plain copy.`,
    [{ intent: "Put the project under version control", command: "git init" }],
    { path },
  );
}

function dirtyCopy(path: string, files: readonly string[]): Fault {
  return new Fault(
    "conflict",
    "vcs.dirty",
    `${quote(path)} has changes (${enumerate(files, 5)}); a save can only be restored into a clean workspace.`,
    [{ intent: "Save them and start over", command: "mu workspace recreate <agent>" }],
    { files: files.slice(0, 100) },
  );
}
