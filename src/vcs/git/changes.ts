import type { VcsWorld } from "../vcs.js";
import { runGit } from "./run.js";

/** A path in which two commits differ: content, mode, type or submodule. A rename is one path less and one more. */
export interface Change {
  path: string;
  /** `<mode> <object>`; null where the path does not exist. */
  before: string | null;
  after: string | null;
}

export type Changes = readonly Change[];

export type Span = readonly [from: string, to: string];

/** The changes of every span, in one git process. */
export async function readChanges(world: VcsWorld, root: string, spans: readonly Span[]): Promise<Changes[]> {
  if (spans.length === 0) return [];
  const args = ["diff-tree", "-r", "-z", "--no-renames", "--raw", "--ignore-submodules=none", "--always", "--stdin"];
  // A line "commit parent" shows the commit against that parent, whatever its real ones are.
  const input = spans.map(([from, to]) => `${to} ${from}\n`).join("");
  const { stdout } = await runGit(world, root, args, { input });
  return parse(stdout, spans);
}

function parse(output: string, spans: readonly Span[]): Changes[] {
  const words = output.split("\0");
  let at = 0;
  return spans.map(([, to]) => {
    if (words[at++] !== to) throw new Error(`diff-tree did not answer for ${to}`);
    const changes: Change[] = [];
    for (; words[at]?.startsWith(":"); at += 2) {
      const [oldMode = "", mode = "", oldObject = "", object = ""] = (words[at] ?? "").slice(1).split(" ");
      const path = words[at + 1] ?? "";
      changes.push({ path, before: entryOf(oldMode, oldObject), after: entryOf(mode, object) });
    }
    return changes;
  });
}

const entryOf = (mode: string, object: string) => (mode === "000000" ? null : `${mode} ${object}`);

/** True for the entry of a submodule. */
export const isLink = (entry: string | null | undefined) => entry?.startsWith("160000 ") === true;

export const pathsOf = (changes: Changes) => changes.map(({ path }) => path).sort();

/** Changes, prepared for `mayConflict`. */
export interface Footprint {
  paths: ReadonlySet<string>;
  /** The folders above all paths, without the root. */
  folders: ReadonlySet<string>;
  /** The folders above added paths. */
  grown: ReadonlySet<string>;
  /** Folders that may have been moved: those above deleted paths, if anything was added. */
  moved: ReadonlySet<string>;
}

export function footprint(changes: Changes): Footprint {
  const paths = changes.map(({ path }) => path);
  const grown = foldersAbove(changes.filter(({ before }) => before === null).map(({ path }) => path));
  const shrunk = foldersAbove(changes.filter(({ after }) => after === null).map(({ path }) => path));
  const hasAdded = changes.some(({ before }) => before === null);
  return { paths: new Set(paths), folders: foldersAbove(paths), grown, moved: hasAdded ? shrunk : new Set() };
}

/**
 * False only if merging the two from their common base cannot conflict: no path is in both, no path is a folder of the
 * other's, and neither adds a file to a folder that the other may have moved. This covers renames, as the old path is
 * deleted and the new one added.
 */
export function mayConflict(a: Footprint, b: Footprint): boolean {
  return (
    overlap(a.paths, b.paths) ||
    overlap(a.paths, b.folders) ||
    overlap(a.folders, b.paths) ||
    overlap(a.moved, b.grown) ||
    overlap(a.grown, b.moved)
  );
}

export function overlap(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  const [few, many] = a.size < b.size ? [a, b] : [b, a];
  for (const item of few) if (many.has(item)) return true;
  return false;
}

/** The folders above these paths, without the root. */
export function foldersAbove(paths: readonly string[]): Set<string> {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      const folder = path.slice(0, end);
      if (folders.has(folder)) break;
      folders.add(folder);
    }
  }
  return folders;
}
