import { closeSync, openSync, readFileSync, readSync, type Stats, statSync } from "node:fs";

const HEADER = 32;
const FRAME_HEADER = 24;
/** A longer log is not read, in bytes: SQLite keeps it at 4 MiB unless a reader never ends. */
const MOST_BYTES = 64 * 2 ** 20;

interface Frame {
  page: number;
  bytes: Buffer;
  /** It is the last one of a commit. */
  commits: boolean;
}

/**
 * Why SQLite should not merge the write-ahead log beside a database file into it, as the end of a sentence; undefined if
 * there is none, or nothing speaks against it. SQLite itself merges any whole log that it finds. Must not be called while
 * this process has the database open: closing a file gives up all locks on it that a process has.
 */
export function foreignWal(path: string): string | undefined {
  const wal = statSync(`${path}-wal`, { throwIfNoEntry: false });
  const file = statSync(path, { throwIfNoEntry: false });
  if (wal === undefined || wal.size <= HEADER || wal.size > MOST_BYTES) return undefined;
  if (file === undefined) return "the database that it belongs to is gone";
  if (file.size === 0) return "the database beside it is an empty file";
  return misfit(path, readFileSync(`${path}-wal`), { file, wal });
}

function misfit(path: string, log: Buffer, { file, wal }: { file: Stats; wal: Stats }): string | undefined {
  const pageSize = log.readUInt32BE(8);
  const frames = committedFrames(log, pageSize);
  if (frames.length === 0) return undefined;
  const readAt = reader(path);
  try {
    // 65536 does not fit into the two bytes: it is written as 1.
    const own = readAt(16, 2).readUInt16BE();
    if ((own === 1 ? 65_536 : own) !== pageSize) return "its pages have another size than those of the database";
    const isNewer = Math.max(file.mtimeMs, file.ctimeMs) > wal.mtimeMs;
    const isSame = (page: number) => {
      const own = readAt((page - 1) * pageSize, pageSize);
      return frames.some((frame) => frame.page === page && frame.bytes.equals(own));
    };
    // Only a checkpoint changes the file of a database that has a log: it writes pages in order, and the oldest commit first.
    const lowest = frames.reduce((least, { page }) => Math.min(least, page), Number.POSITIVE_INFINITY);
    const oldest = frames.slice(0, frames.findIndex(({ commits }) => commits) + 1);
    const isCopied = isSame(lowest) || oldest.every(({ page }) => isSame(page));
    return isNewer && !isCopied ? "the database was put in its place, or changed, after it was written" : undefined;
  } finally {
    readAt.close();
  }
}

/** The pages that were written up to the last commit. Frames of an earlier round of the log have other salts. */
function committedFrames(log: Buffer, pageSize: number): Frame[] {
  const frames: Frame[] = [];
  let committed = 0;
  for (let at = HEADER; at + FRAME_HEADER + pageSize <= log.length; at += FRAME_HEADER + pageSize) {
    if (log.compare(log, 16, 24, at + 8, at + 16) !== 0) break;
    const start = at + FRAME_HEADER;
    const commits = log.readUInt32BE(at + 4) !== 0;
    frames.push({ page: log.readUInt32BE(at), bytes: log.subarray(start, start + pageSize), commits });
    if (commits) committed = frames.length;
  }
  return frames.slice(0, committed);
}

function reader(path: string) {
  const file = openSync(path, "r");
  const read = (at: number, length: number) => {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(file, bytes, 0, length, at));
  };
  return Object.assign(read, { close: () => closeSync(file) });
}
