import { readdir, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";

/**
 * A spool is the file that hooks append to, and at most one older segment `<path>.<n>` that was moved aside. An
 * offset names both: segment × 2³² + position, so it grows for ever and survives a rotation.
 */
export interface Segment {
  number: number;
  path: string;
}

const SPAN = 2 ** 32;

export function toOffset(segment: number, position: number): number {
  return segment * SPAN + position;
}

export function splitOffset(offset: number): { segment: number; position: number } {
  return { segment: Math.floor(offset / SPAN), position: offset % SPAN };
}

/** The segments that were moved aside, oldest first, and the active one behind them. */
export async function listSegments(path: string): Promise<[...older: Segment[], active: Segment]> {
  const older = (await listNumbered(path)).filter((segment) => !segment.empty);
  return [...older, { number: (older.at(-1)?.number ?? -1) + 1, path }];
}

/** Every `<path>.<n>`; an empty one is a rotation under way, or one that was broken off. */
export async function listNumbered(path: string): Promise<(Segment & { empty: boolean })[]> {
  const prefix = `${basename(path)}.`;
  const names = await readdir(dirname(path)).catch(() => []);
  const found = names
    .filter((name) => name.startsWith(prefix) && /^\d{1,6}$/.test(name.slice(prefix.length)))
    .map(async (name) => {
      const segment = `${dirname(path)}/${name}`;
      const empty = ((await stat(segment).catch(() => undefined))?.size ?? 0) === 0;
      return { number: Number(name.slice(prefix.length)), path: segment, empty };
    });
  return (await Promise.all(found)).sort((a, b) => a.number - b.number);
}
