import type { VcsWorld } from "../../vcs.js";
import { runGit } from "../run.js";

/** The paths that one commit changes against another; a rename is a path deleted and a path added. */
export interface Changes {
  added: readonly string[];
  deleted: readonly string[];
  /** Content, mode, type or submodule. */
  modified: readonly string[];
}

/** From a commit to another. */
export type Span = readonly [from: string, to: string];

/** The changes of every span, in one run of git. */
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

/** All paths of the changes, sorted. */
export function pathsOf({ added, deleted, modified }: Changes): string[] {
  return [...added, ...deleted, ...modified].sort();
}
