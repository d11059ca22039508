import type { VcsWorld } from "../../vcs.js";
import { runGit } from "../run.js";

/** The paths in which two commits differ; a rename is one deleted and one added. */
export interface Changes {
  added: readonly string[];
  deleted: readonly string[];
  /** Content, mode, type or submodule. */
  modified: readonly string[];
}

export type Span = readonly [from: string, to: string];

/** The changes of every span, in one git process. */
export async function readChanges(world: VcsWorld, root: string, spans: readonly Span[]): Promise<Changes[]> {
  if (spans.length === 0) return [];
  const args = ["diff-tree", "-r", "-z", "--no-renames", "--name-status", "--ignore-submodules=none", "--always"];
  // A line "commit parent" shows the commit against that parent, whatever its real ones are.
  const input = spans.map(([from, to]) => `${to} ${from}\n`).join("");
  const { stdout } = await runGit(world, root, [...args, "--stdin"], { input });
  return parse(stdout, spans);
}

function parse(output: string, spans: readonly Span[]): Changes[] {
  const words = output.split("\0");
  let at = 0;
  return spans.map(([, to]) => {
    if (words[at++] !== to) throw new Error(`diff-tree did not answer for ${to}`);
    const changes = { added: [] as string[], deleted: [] as string[], modified: [] as string[] };
    for (let status = words[at] ?? ""; status.length === 1; status = words[at] ?? "") {
      changes[KINDS[status] ?? "modified"].push(words[at + 1] ?? "");
      at += 2;
    }
    return changes;
  });
}

const KINDS: Readonly<Record<string, keyof Changes>> = { A: "added", D: "deleted" };

export function pathsOf({ added, deleted, modified }: Changes): string[] {
  return [...added, ...deleted, ...modified].sort();
}

export const NO_CHANGES: Changes = { added: [], deleted: [], modified: [] };

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

export function footprint({ added, deleted, modified }: Changes): Footprint {
  const [grown, shrunk] = [foldersAbove(added), foldersAbove(deleted)];
  return {
    paths: new Set([...added, ...deleted, ...modified]),
    folders: new Set([...grown, ...shrunk, ...foldersAbove(modified)]),
    grown,
    moved: added.length > 0 ? shrunk : new Set(),
  };
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

function foldersAbove(paths: readonly string[]): Set<string> {
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
