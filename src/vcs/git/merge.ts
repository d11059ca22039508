import { mapAtMost } from "../../at-most.js";
import { Fault } from "../../errors.js";
import type { Replay } from "../lander.js";
import type { VcsWorld } from "../vcs.js";
import { gitFault, gitLine, runGit } from "./run.js";

interface Merge {
  /** The merged tree, with conflict markers in files that conflict. */
  tree: string;
  /** The paths that conflict, sorted. */
  conflicts: string[];
}

type Pair = readonly [ours: string, theirs: string];

/** Git processes in parallel. */
const CONCURRENCY = 2;
/** Fewer pairs than this are not worth another process. */
const MIN_BATCH = 24;

/**
 * Merges each pair in memory, following renames. Every pair needs a common ancestor. Faults `vcs.too_old` below git
 * 2.38, `vcs.failed`.
 */
export async function mergePairs(world: VcsWorld, root: string, pairs: readonly Pair[]): Promise<Merge[]> {
  if (pairs.length === 0) return [];
  const version = await gitVersion(world, root);
  if (version < WRITE_TREE) throw tooOld();
  if (version < STDIN) return mapAtMost(CONCURRENCY, pairs, (pair) => mergeOne(world, root, pair));
  const size = Math.max(MIN_BATCH, Math.ceil(pairs.length / CONCURRENCY));
  const batches: Pair[][] = [];
  for (let from = 0; from < pairs.length; from += size) batches.push(pairs.slice(from, from + size));
  return (await Promise.all(batches.map((batch) => mergeMany(world, root, batch)))).flat();
}

const MERGE_TREE = ["merge-tree", "--write-tree", "--name-only"];

/** The output is the tree, the conflicted paths, an empty field, and messages with the paths they are about. */
async function mergeOne(world: VcsWorld, root: string, [ours, theirs]: Pair): Promise<Merge> {
  const { code, stdout } = await runGit(world, root, [...MERGE_TREE, "-z", "--messages", ours, theirs], {
    okCodes: [1],
  });
  const [tree = "", ...words] = stdout.split("\0");
  const end = words.indexOf("");
  const paths = words.slice(0, end).map(realPath([ours, theirs]));
  // Only the message reports a folder that was split over several others.
  return {
    tree,
    conflicts: sorted(
      code === 1 && paths.length === 0 ? conflictsIn(words.slice(end + 1)).flatMap(({ paths }) => paths) : paths,
    ),
  };
}

/** Messages of `merge-tree`: each is the number of its paths, the paths, its type, and its text. */
function conflictsIn(messages: readonly string[]): { paths: string[]; text: string }[] {
  const found: { paths: string[]; text: string }[] = [];
  for (let at = 0; at < messages.length; ) {
    const count = Number(messages[at] || Number.NaN);
    if (Number.isNaN(count)) break;
    const [type = "", text = ""] = messages.slice(at + count + 1, at + count + 3);
    if (type.startsWith("CONFLICT")) found.push({ paths: messages.slice(at + 1, at + 1 + count), text });
    at += count + 3;
  }
  return found;
}

/** One process for all: each result is a status, the tree, the paths, and an empty field. */
async function mergeMany(world: VcsWorld, root: string, pairs: readonly Pair[]): Promise<Merge[]> {
  const args = [...MERGE_TREE, "--no-messages", "--stdin"];
  const input = pairs.map((pair) => `${pair.join(" ")}\n`).join("");
  const result = await runGit(world, root, args, { input });
  const words = result.stdout.split("\0");
  let at = 0;
  const answers = pairs.map((pair) => {
    const [verdict, tree] = words.slice(at, at + 2);
    const end = words.indexOf("", at + 2);
    if (!tree || end < 0) throw gitFault(root, args, result);
    const conflicts = sorted(words.slice(at + 2, end).map(realPath(pair)));
    at = end + 1;
    return { pair, tree, conflicts, unreported: verdict === CONFLICTED && conflicts.length === 0 };
  });
  return mapAtMost(CONCURRENCY, answers, async ({ pair, tree, conflicts, unreported }) =>
    unreported ? mergeOne(world, root, pair) : { tree, conflicts },
  );
}

const CONFLICTED = "0";

/** A file that conflicts with a folder would be moved to `path~<commit>`; this is the path that it has now. */
const realPath = (pair: Pair) => (path: string) => {
  const mark = path.lastIndexOf("~");
  const [commit = ""] = path.slice(mark + 1).split("_");
  return mark > 0 && pair.includes(commit) ? path.slice(0, mark) : path;
};

const sorted = (paths: readonly string[]) => [...new Set(paths)].sort();

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
  { tree, report }: { tree: string; report: readonly string[] },
  names: Replay["names"],
): Promise<{ files: string[]; words: string[]; hunk: string }> {
  const { files, words } = parseReport(report);
  for (const file of files.slice(0, 10)) {
    const hunk = firstHunk(await textOf(world, root, `${tree}:${file}`), names);
    if (hunk !== "") return { files, words, hunk: `${file}\n${hunk}` };
  }
  return { files, words, hunk: "" };
}

/** `mode id stage\tpath` for each conflicted file, an empty field, and messages. */
function parseReport(report: readonly string[]): { files: string[]; words: string[] } {
  const end = report.indexOf("");
  const files = report.slice(0, end).map((line) => line.slice(line.indexOf("\t") + 1));
  const texts = conflictsIn(report.slice(end + 1)).map(({ text }) => text.trim());
  return {
    files: [...new Set(files)],
    words: texts.map((text) => text.replaceAll(/\b([0-9a-f]{7})[0-9a-f]{33}\b/g, "$1")),
  };
}

async function textOf(world: VcsWorld, root: string, object: string): Promise<string> {
  const { code, stdout } = await runGit(world, root, ["cat-file", "-s", object], { okCodes: [128] });
  if (code !== 0 || Number(stdout) > MAX_BYTES) return "";
  return (await runGit(world, root, ["cat-file", "blob", object], { okCodes: [128] })).stdout;
}

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
