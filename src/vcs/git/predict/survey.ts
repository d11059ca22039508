import { constants } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { mapAtMost } from "../../../at-most.js";
import { Fault } from "../../../errors.js";
import type { Checkout, Standing, Target, VcsWorld } from "../../vcs.js";
import { gitDirOf } from "../git-dir.js";
import { gitLine, runGit } from "../run.js";
import { snapshot } from "../snapshot.js";
import { type Distance, distances } from "../standings.js";
import { type Changes, type Footprint, footprint, readChanges, type Span } from "./changes.js";
import { makeCommits, type Quarantine } from "./quarantine.js";

/** A repository, where work lands in it, and where predictions are made. */
export interface Sky {
  quarantine: Quarantine;
  world: VcsWorld;
  root: string;
  target: Target;
}

/** A checkout that takes part, under a name of the caller's. */
export interface Subject {
  name: string;
  checkout: Checkout;
  /** A commit that the newest part of its work begins behind, if that is to be told apart. */
  since?: string | undefined;
}

/** A subject with all that can be found out about it alone. */
export interface Work
  extends Omit<Present, "tree">,
    Pick<Ancestry, "own" | "single">,
    Pick<Standing, "behind" | "ahead"> {
  name: string;
  /** `head`, or a commit on top of it with everything that is not committed. */
  commit: string;
  /** The commit at which it left the target. */
  base: string;
  /** From there to its present. */
  changes: Changes;
  footprint: Footprint;
  /** From its `since`, where that is a commit of its own that has not landed; else the same as `changes`. */
  recent: Changes;
}

export interface Survey {
  works: Work[];
  skipped: { name: string; reason: string }[];
}

/** So many checkouts are read at a time. */
const SIDE_BY_SIDE = 2;

export const NO_CHANGES: Changes = { added: [], deleted: [], modified: [] };

/** Finds out what every subject has; one that cannot be read, or has nothing in common with the target, is skipped. */
export async function survey(sky: Sky, subjects: readonly Subject[]): Promise<Survey> {
  const { present, skipped } = await presents(sky, subjects);
  const { world, root, target } = sky;
  const heads = present.map(({ head }) => head);
  const ancestry =
    heads.length === 0 ? new Map<string, Ancestry>() : await readAncestry(world, root, heads, target.commit);
  const apart = await lag(sky, ancestry);
  const works: Work[] = [];
  const sinces: (string | undefined)[] = [];
  for (const { since, ...one } of present) {
    const { own = new Set<string>(), base, single = true } = ancestry.get(one.head) ?? {};
    if (base === undefined) {
      skipped.push({ name: one.name, reason: `It shares no history with ${target.branch}.` });
      continue;
    }
    const { behind = null, ahead = own.size } = apart.get(one.head) ?? {};
    const nothing = { changes: NO_CHANGES, recent: NO_CHANGES, footprint: footprint(NO_CHANGES) };
    works.push({ ...one, own, base, single, behind, ahead, ...nothing });
    sinces.push(since !== undefined && own.has(since) ? since : undefined);
  }
  await measure(sky, works, sinces);
  return { works, skipped };
}

/** How far each head is from the target; that is asked only where one is not on the newest. */
async function lag({ world, root, target }: Sky, ancestry: ReadonlyMap<string, Ancestry>) {
  const late = [...ancestry].filter(([, { base, single }]) => base !== target.commit || !single).map(([head]) => head);
  const apart = late.length === 0 ? undefined : await distances(world, root, target, late);
  const near = [...ancestry].map(([head, { own }]): [string, Distance] => [head, { ahead: own.size, behind: 0 }]);
  return new Map([...near.filter(([head]) => !late.includes(head)), ...(apart ?? [])]);
}

async function presents({ quarantine, root }: Sky, subjects: readonly Subject[]) {
  const skipped: Survey["skipped"] = [];
  const seen = await mapAtMost(SIDE_BY_SIDE, subjects, async ({ name, checkout, since }) => {
    try {
      return [{ name, since, ...(await presentOf(quarantine, checkout)) }];
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      skipped.push({ name, reason: error.message });
      return [];
    }
  });
  const found = seen.flat();
  const unborn = found.flatMap(({ head, tree }) => (tree === null ? [] : [{ tree, parent: head }]));
  const commits = (await makeCommits(quarantine, root, unborn)).values();
  const present = found.map(({ tree, ...one }) => ({
    ...one,
    commit: tree === null ? one.head : (commits.next().value ?? one.head),
  }));
  return { present, skipped };
}

/** Fills in what every work changes. */
async function measure({ world, root }: Sky, works: readonly Work[], sinces: readonly (string | undefined)[]) {
  const whole = works.filter(({ base, commit }) => base !== commit);
  const spans = whole.map(({ base, commit }): Span => [base, commit]);
  const late = works.flatMap((work, n) => (sinces[n] === undefined ? [] : [{ work, since: sinces[n] }]));
  const lateSpans = late.map(({ work, since }): Span => [since, work.commit]);
  const changes = await readChanges(world, root, [...spans, ...lateSpans]);
  for (const [n, work] of whole.entries()) {
    work.changes = work.recent = changes[n] ?? NO_CHANGES;
    work.footprint = footprint(work.changes);
  }
  for (const [n, { work }] of late.entries()) work.recent = changes[whole.length + n] ?? NO_CHANGES;
}

/** Where a commit's own history left the target's. */
interface Ancestry {
  /** Commits that the target lacks. */
  own: ReadonlySet<string>;
  /** The merge base with the target; undefined when there is none. */
  base: string | undefined;
  /** False when there are several merge bases, so that `base` is not all that a merge starts from. */
  single: boolean;
}

/** How each of `heads` came from the target, by commit: one walk over what the target lacks. */
async function readAncestry(
  world: VcsWorld,
  root: string,
  heads: readonly string[],
  target: string,
): Promise<Map<string, Ancestry>> {
  const distinct = [...new Set(heads)];
  const args = ["rev-list", "--parents", "--boundary", "--stdin"];
  const input = `${distinct.join("\n")}\n^${target}\n`;
  const { stdout } = await runGit(world, root, args, { input });
  const { parents, boundary } = graphOf(stdout);
  const entries = distinct.map(async (head): Promise<[string, Ancestry]> => {
    if (!parents.has(head)) return [head, { own: new Set(), base: head, single: true }];
    const { own, borders } = reach(head, parents, boundary);
    return [head, { own, ...(await basesOf(world, root, head, target, borders)) }];
  });
  return new Map(await Promise.all(entries));
}

function graphOf(listing: string) {
  const parents = new Map<string, string[]>();
  const boundary = new Set<string>();
  for (const line of listing.split("\n")) {
    const [commit = "", ...of] = line.split(" ");
    if (commit.startsWith("-")) boundary.add(commit.slice(1));
    else if (commit !== "") parents.set(commit, of);
  }
  return { parents, boundary };
}

/** What the target lacks behind `head`, and the target's commits that it grew from. */
function reach(head: string, parents: ReadonlyMap<string, readonly string[]>, boundary: ReadonlySet<string>) {
  const own = new Set<string>();
  const borders = new Set<string>();
  const waiting = [head];
  for (let commit = waiting.pop(); commit !== undefined; commit = waiting.pop()) {
    if (own.has(commit)) continue;
    if (boundary.has(commit)) borders.add(commit);
    const of = parents.get(commit);
    if (of === undefined) continue;
    own.add(commit);
    waiting.push(...of);
  }
  return { own, borders };
}

async function basesOf(world: VcsWorld, root: string, head: string, target: string, borders: ReadonlySet<string>) {
  const [border] = borders;
  if (borders.size < 2) return { base: border, single: true };
  const { stdout } = await runGit(world, root, ["merge-base", "--all", head, target], { okCodes: [1] });
  const [base, ...more] = stdout.split("\n").filter((line) => line !== "");
  return { base, single: more.length === 0 };
}

/** A checkout at this moment. */
interface Present {
  /** The commit it is at. */
  head: string;
  /** The tree of everything in it; null where nothing is uncommitted, so that it is that of `head`. */
  tree: string | null;
  /** Files that are not committed. */
  dirty: number;
}

/**
 * What is in a checkout. The work tree and its index are only read, and the work tree only once: what differs goes into
 * a copy of the index by name. Faults `vcs.no_folder`, `vcs.no_commits`, `vcs.failed`.
 */
async function presentOf(quarantine: Quarantine, checkout: Checkout): Promise<Present> {
  const { stdout } = await runGit(quarantine.world, checkout.path, STATUS);
  const lines = stdout.split("\0").filter((line) => line !== "");
  const head = lines.map((line) => /^# branch\.oid ([0-9a-f]+)$/.exec(line)?.[1]).find((found) => found !== undefined);
  if (head === undefined) throw new Fault("conflict", "vcs.no_commits", "Nothing was committed in it yet.");
  const differing = lines.filter((line) => !line.startsWith("# "));
  if (differing.length === 0) return { head, tree: null, dirty: 0 };
  return { head, tree: await treeOf(quarantine, checkout, differing.map(pathIn)), dirty: differing.length };
}

const STATUS = [
  ...["-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch", "-z"],
  ...["--no-renames", "--no-ahead-behind", "--untracked-files=all", "--ignore-submodules=none"],
];

/** How many words stand before the path, by the kind of line. */
const WORDS: Readonly<Record<string, number>> = { "1": 8, u: 10, "?": 1 };

function pathIn(line: string): string {
  let start = 0;
  for (let word = WORDS[line[0] ?? ""] ?? 1; word > 0; word--) start = line.indexOf(" ", start) + 1;
  return line.slice(start).replace(/\/$/, "");
}

const QUIETLY = ["-c", "core.fsmonitor=false", "-c", "core.splitIndex=false", "-c", "core.safecrlf=false"];

async function treeOf({ world, folder }: Quarantine, checkout: Checkout, paths: readonly string[]): Promise<string> {
  const index = join(folder, `index-${indexes++}`);
  const env = { GIT_INDEX_FILE: index };
  try {
    await copyFile(join(await gitDirOf(checkout.path), "index"), index, constants.COPYFILE_FICLONE);
    const update = ["update-index", "-z", "--add", "--remove", "--replace", "--stdin"];
    await runGit(world, checkout.path, [...QUIETLY, ...update], {
      env,
      input: paths.map((path) => `${path}\0`).join(""),
    });
    return await gitLine(world, checkout.path, [...QUIETLY, "write-tree"], { env });
  } catch (error) {
    if (!(error instanceof Fault) && !(error instanceof Error && "code" in error)) throw error;
    // Files come and go while an agent works, and an odd one may be refused by name: the thorough way knows how.
    return (await snapshot(world, checkout)).tree;
  }
}

let indexes = 0;
