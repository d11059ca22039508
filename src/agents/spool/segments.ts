import { readdir, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";

/** A spool is the file that hooks append to, and at most one older segment `<path>.<n>` that was moved aside. */
export interface Segment {
  number: number;
  path: string;
}

/**
 * How far a reader came: in which segment, where in it, and where in the one before. That one may still grow for a
 * moment, by hooks that had opened it before it was moved.
 */
export interface Cursor {
  segment: number;
  position: number;
  older: number;
}

const START: Cursor = { segment: 0, position: 0, older: 0 };

export function formatCursor({ segment, position, older }: Cursor): string {
  return `${segment}.${position}.${older}`;
}

/** Anything else than a cursor's text is the start. */
export function parseCursor(text: string): Cursor {
  const match = /^(\d{1,9})\.(\d{1,15})\.(\d{1,15})$/.exec(text);
  if (!match) return START;
  const [, segment, position, older] = match.map(Number);
  return { segment: segment ?? 0, position: position ?? 0, older: older ?? 0 };
}

/** The segments that were moved aside, oldest first, and the active one behind them. */
export async function listSegments(path: string): Promise<{ older: Segment[]; active: Segment }> {
  const older = (await listNumbered(path)).filter((segment) => !segment.empty);
  return { older, active: { number: (older.at(-1)?.number ?? -1) + 1, path } };
}

/** Every `<path>.<n>`; an empty one is a rotation under way, or one that was broken off. */
export async function listNumbered(path: string): Promise<(Segment & { empty: boolean })[]> {
  const prefix = `${basename(path)}.`;
  const names = await readdir(dirname(path)).catch(() => []);
  const found = names
    .filter((name) => name.startsWith(prefix) && /^\d{1,9}$/.test(name.slice(prefix.length)))
    .map(async (name) => {
      const segment = `${dirname(path)}/${name}`;
      return { number: Number(name.slice(prefix.length)), path: segment, empty: (await sizeOf(segment)) === 0 };
    });
  return (await Promise.all(found)).sort((a, b) => a.number - b.number);
}

/** In bytes; what is not there has none. */
export async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}
