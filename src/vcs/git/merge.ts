import { mapAtMost } from "../../at-most.js";
import { Fault } from "../../errors.js";
import type { Replay } from "../lander.js";
import type { VcsWorld } from "../vcs.js";
import { gitFault, gitLine, runGit, runGits } from "./run.js";

/** What merging two commits gives. */
export interface Merge {
  isClean: boolean;
  /** The merged tree, with conflict markers in files that conflict. */
  tree: string;
  /** The paths that conflict, as the tree has them. */
  files: string[];
  /** What git says about its conflicts. */
  messages: { paths: string[]; text: string }[];
}

const MERGE_TREE = ["merge-tree", "--write-tree", "-z", "--name-only", "--messages", "--allow-unrelated-histories"];

/** Merges two commits in memory, following renames. `options` are git's own, before the verb. */
export async function mergeTrees(
  world: VcsWorld,
  folder: string,
  [ours, theirs]: Pair,
  { options = [], env = {} }: { options?: readonly string[]; env?: Record<string, string> } = {},
): Promise<Merge> {
  const args = [...options, ...MERGE_TREE, ours, theirs];
  const { code, stdout } = await runGit(world, folder, args, { okCodes: [1], env });
  return { isClean: code === 0, ...readMerge(stdout.split("\0"), 0) };
}

/**
 * Reads the merge that begins at `start`: its tree, the paths that conflict, an empty field, and messages: the number of
 * their paths, the paths, the type and the text. `end` is behind the field that ends them.
 */
function readMerge(fields: readonly string[], start: number): Omit<Merge, "isClean"> & { end: number } {
  const blank = fields.indexOf("", start);
  const [tree = "", ...files] = fields.slice(start, blank);
  const messages: Merge["messages"] = [];
  let at = blank + 1;
  for (let count = Number.parseInt(fields[at] ?? "", 10); count >= 0; count = Number.parseInt(fields[at] ?? "", 10)) {
    const [type = "", text = ""] = fields.slice(at + count + 1, at + count + 3);
    if (type.startsWith("CONFLICT")) messages.push({ paths: fields.slice(at + 1, at + 1 + count), text });
    at += count + 3;
  }
  return { tree, files, messages, end: at + 1 };
}

type Pair = readonly [ours: string, theirs: string];

/** Git processes in parallel. */
const CONCURRENCY = 2;
/** Fewer pairs than this are not worth another process. */
const MIN_BATCH = 24;

/**
 * The merged tree and the conflicting paths, sorted, of each pair. Every pair needs a common ancestor. Faults
 * `vcs.too_old` below git 2.38, `vcs.failed`.
 */
export async function mergePairs(
  world: VcsWorld,
  root: string,
  pairs: readonly Pair[],
): Promise<{ tree: string; conflicts: string[] }[]> {
  if (pairs.length === 0) return [];
  const version = await gitVersion(world, root);
  if (version < WRITE_TREE) throw tooOld();
  const size = Math.max(MIN_BATCH, Math.ceil(pairs.length / CONCURRENCY));
  const batches: Pair[][] = [];
  for (let from = 0; from < pairs.length; from += size) batches.push(pairs.slice(from, from + size));
  const merges =
    version < STDIN
      ? await mapAtMost(CONCURRENCY, pairs, (pair) => mergeTrees(world, root, pair))
      : (await Promise.all(batches.map((batch) => mergeMany(world, root, batch)))).flat();
  return merges.map((merge, at) => ({ tree: merge.tree, conflicts: conflictsOf(merge, pairs[at] ?? ["", ""]) }));
}

/** One process for all: each result begins with its status and ends with an empty field. */
async function mergeMany(world: VcsWorld, root: string, pairs: readonly Pair[]): Promise<Merge[]> {
  const args = [...MERGE_TREE, "--stdin"];
  const input = pairs.map((pair) => `${pair.join(" ")}\n`).join("");
  const result = await runGit(world, root, args, { input });
  const fields = result.stdout.split("\0");
  let at = 0;
  return pairs.map(() => {
    const isClean = fields[at] === "1";
    const { end, ...merge } = readMerge(fields, at + 1);
    if (merge.tree === "") throw gitFault(root, args, result);
    at = end;
    return { isClean, ...merge };
  });
}

function conflictsOf({ isClean, files, messages }: Merge, pair: Pair): string[] {
  // Only the message reports a folder that was split over several others.
  const isUnlisted = !isClean && files.length === 0;
  const paths = isUnlisted ? messages.flatMap((message) => message.paths) : files.map(realPath(pair));
  return [...new Set(paths)].sort();
}

/** A file that conflicts with a folder would be moved to `path~<commit>`; this is the path that it has now. */
const realPath = (pair: Pair) => (path: string) => {
  const mark = path.lastIndexOf("~");
  const [commit = ""] = path.slice(mark + 1).split("_");
  return mark > 0 && pair.includes(commit) ? path.slice(0, mark) : path;
};

/** `merge-tree --write-tree`, and its `--stdin`, as 1000 × major + minor. */
const WRITE_TREE = 2_038;
const STDIN = 2_039;

const versions = new WeakMap<VcsWorld["env"], number>();

/** git's version as 1000 × major + minor, cached per environment. */
async function gitVersion(world: VcsWorld, root: string): Promise<number> {
  const known = versions.get(world.env);
  if (known !== undefined) return known;
  const [, major, minor] = /(\d+)\.(\d+)/.exec(await gitLine(world, root, ["version"])) ?? [];
  const version = Number(major ?? 0) * 1_000 + Number(minor ?? 0);
  versions.set(world.env, version);
  return version;
}

function tooOld(): Fault {
  return new Fault("unavailable", "vcs.too_old", "Predicting collisions needs git 2.38 or newer.");
}

/** Larger files are not read for their conflicts, in bytes. */
const MAX_BYTES = 1_000_000;
const HUNK_LINES = 40;
const LINE_LENGTH = 200;

/** The conflicts of a merge: the files, git's messages about them, and the first conflicting lines. */
export async function gitConflict(
  { world, root }: { world: VcsWorld; root: string },
  { tree, files, messages }: Merge,
  names: Replay["names"],
): Promise<{ files: string[]; words: string[]; hunk: string }> {
  const words = messages.map(({ text }) => text.trim().replaceAll(/\b([0-9a-f]{7})[0-9a-f]{33}\b/g, "$1"));
  for (const file of files.slice(0, 10)) {
    const hunk = firstHunk((await runGits(world, root, READ, [`${tree}:${file}`, `${MAX_BYTES}`])) ?? "", names);
    if (hunk !== "") return { files, words, hunk: `${file}\n${hunk}` };
  }
  return { files, words, hunk: "" };
}

const READ = '[ "$(git cat-file -s "$1")" -le "$2" ] && git cat-file blob "$1"';

function firstHunk(text: string, { ours, theirs }: Replay["names"]): string {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => line.startsWith("<<<<<<< "));
  const end = lines.findIndex((line, index) => index > start && line.startsWith(">>>>>>> "));
  if (start < 0 || end < 0) return "";
  const hunk = [`<<<<<<< ${ours}`, ...lines.slice(start + 1, end), `>>>>>>> ${theirs}`].map(shortened);
  if (hunk.length <= HUNK_LINES) return hunk.join("\n");
  const half = HUNK_LINES / 2;
  return [...hunk.slice(0, half), `… ${hunk.length - HUNK_LINES} more lines …`, ...hunk.slice(-half)].join("\n");
}

const shortened = (line: string) => (line.length > LINE_LENGTH ? `${line.slice(0, LINE_LENGTH)}…` : line);
