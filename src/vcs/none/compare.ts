import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from "node:fs";
import { join } from "node:path";
import { Fault } from "../../errors.js";
import { quote, shellWord } from "../../names.js";

/** How a copy differs from its root: relative paths. */
export interface Differences {
  /** Files, symlinks and added folders of the copy that the root lacks or that differ there. */
  changed: string[];
  /** What the root has and the copy lacks or has with another type; of a folder, only the folder. */
  deleted: string[];
  /** False if `limit` was reached. */
  complete: boolean;
}

/**
 * Compares a copy with its root, at most `limit` entries. Files of the same size and time that have not been changed
 * since `copiedAt` (ms; null: unknown) are equal; others are compared by content. Faults `vcs.failed` for an unreadable folder.
 */
export function compareTrees(root: string, copy: string, copiedAt: number | null, limit: number): Differences {
  const found: Differences = { changed: [], deleted: [], complete: true };
  let seen = 0;
  const walk = (below: string): void => {
    const theirs = entries(join(root, below));
    for (const name of entries(join(copy, below))) {
      if (++seen > limit) {
        found.complete = false;
        return;
      }
      const path = join(below, name);
      const before = theirs.delete(name) ? statOf(join(root, path)) : undefined;
      const after = statOf(join(copy, path));
      if (after === undefined) continue;
      if (before?.isDirectory() && after.isDirectory()) walk(path);
      else if (before === undefined || !isSame(before, after, join(root, path), join(copy, path), copiedAt)) {
        found.changed.push(path);
        if (before !== undefined && typeOf(before) !== typeOf(after)) found.deleted.push(path);
      }
    }
    for (const name of theirs) found.deleted.push(join(below, name));
  };
  walk("");
  return found;
}

function isSame(before: Stats, after: Stats, theirs: string, ours: string, copiedAt: number | null): boolean {
  if (typeOf(before) !== typeOf(after)) return false;
  if (after.isSymbolicLink()) return readlinkSync(theirs) === readlinkSync(ours);
  if (!after.isFile()) return true;
  if (before.size !== after.size || (before.mode & 0o777) !== (after.mode & 0o777)) return false;
  const untouched = copiedAt !== null && before.ctimeMs < copiedAt && after.ctimeMs < copiedAt;
  return (untouched && before.mtimeMs === after.mtimeMs) || sameBytes(theirs, ours);
}

const typeOf = (stat: Stats) => stat.mode & 0o170000;

function entries(folder: string): Set<string> {
  try {
    return new Set(readdirSync(folder).sort());
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return new Set();
    throw unreadable(folder);
  }
}

// An unreadable folder cannot be saved, so it must not count as missing.
function unreadable(folder: string): Fault {
  return new Fault("unavailable", "vcs.failed", `The folder ${quote(folder)} is not readable.`, [
    { intent: "Make it readable", command: `chmod u+rwx ${shellWord(folder)}` },
  ]);
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}

const CHUNK = 1 << 18;
const left = Buffer.allocUnsafe(CHUNK);
const right = Buffer.allocUnsafe(CHUNK);

/** True if two files have the same content; false if one cannot be read. */
export function sameBytes(a: string, b: string): boolean {
  const open: number[] = [];
  try {
    const [one, two] = [openSync(a, "r"), openSync(b, "r")];
    open.push(one, two);
    for (;;) {
      const read = readSync(one, left, 0, CHUNK, null);
      if (read !== readSync(two, right, 0, CHUNK, null)) return false;
      if (read === 0) return true;
      if (!left.subarray(0, read).equals(right.subarray(0, read))) return false;
    }
  } catch {
    return false;
  } finally {
    for (const file of open) closeSync(file);
  }
}
