import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { encodeSpoolLine, type SpoolEvent } from "./line.js";
import { listNumbered, sizeOf } from "./segments.js";

/** Makes the folder of the spools; hooks write only where it is there. */
export async function prepareSpool(stateDir: string): Promise<void> {
  await mkdir(join(stateDir, "spool"), { recursive: true, mode: 0o700 });
}

/** Appends one event as a hook would, with a single write. */
export async function appendSpool(path: string, event: SpoolEvent): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(path, "a", 0o600);
  try {
    await file.write(Buffer.from(encodeSpoolLine(event)));
  } finally {
    await file.close();
  }
}

/** A spool is moved aside when it is larger than this (bytes); with the older segment it stays under twice that. */
const MAX_SEGMENT = 4 * 1024 * 1024;
/** A rotation that was broken off for this long (ms) is taken back. */
const ABANDONED = 60_000;

/**
 * Bounds the spool: a large file is moved aside to `<path>.<n>` and the one before it is removed. Hooks open the file
 * by its name for each event, so they go on in a new one; one that has it open finishes its record in the moved file,
 * where a reader still finds it. Whoever creates `<path>.<n>` first rotates, all others do nothing, so that no two
 * rotations can overwrite each other. True when this call rotated.
 */
export async function rotateSpool(path: string, maxBytes = MAX_SEGMENT): Promise<boolean> {
  if (!(await isLarger(path, maxBytes))) return false;
  const numbered = await listNumbered(path);
  const newest = numbered.at(-1);
  if (newest?.empty) {
    await takeBack(path, newest.path);
    return false;
  }
  const target = `${path}.${(newest?.number ?? -1) + 1}`;
  if (!(await claim(target))) return false;
  if (!(await isLarger(path, maxBytes))) {
    await rm(target, { force: true });
    return false;
  }
  await rename(path, target);
  await Promise.all(numbered.map((segment) => rm(segment.path, { force: true })));
  return true;
}

/** Removes an incarnation's spool. */
export async function removeSpool(path: string): Promise<void> {
  const numbered = await listNumbered(path);
  await Promise.all([path, ...numbered.map((segment) => segment.path)].map((file) => rm(file, { force: true })));
}

async function isLarger(path: string, bytes: number): Promise<boolean> {
  return (await sizeOf(path)) > bytes;
}

async function claim(target: string): Promise<boolean> {
  try {
    await (await open(target, "wx", 0o600)).close();
    return true;
  } catch {
    return false;
  }
}

/** The age of a claim is told by the spool's own last write, so no clock is needed. */
async function takeBack(path: string, claimed: string): Promise<void> {
  const [spool, mark] = await Promise.all([stat(path), stat(claimed)].map((found) => found.catch(() => undefined)));
  if (spool && mark?.size === 0 && spool.mtimeMs - mark.mtimeMs > ABANDONED) await rm(claimed, { force: true });
}
