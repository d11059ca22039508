import { join } from "node:path";
import { mapAtMost } from "../../../at-most.js";
import { asFault, Fault } from "../../../errors.js";
import type { Checkout, Target, VcsWorld } from "../../vcs.js";
import { type Changes, type Footprint, footprint, readChanges, type Span } from "../changes.js";
import { gitDirOf } from "../git-dir.js";
import { copyIndex } from "../private-index.js";
import { gitEntries, gitLine, runGit } from "../run.js";
import { snapshot } from "../snapshot.js";
import { type Distance, distances } from "../standings.js";
import { makeCommits, type Quarantine } from "./quarantine.js";

/** The repository and target of a forecast. */
export interface Scene {
  quarantine: Quarantine;
  world: VcsWorld;
  root: string;
  target: Target;
}

/** A checkout to compare, under a name of the caller's. */
export interface Subject {
  name: string;
  checkout: Checkout;
  /** Where the newest part of its work begins, if that is reported separately. */
  since?: string | undefined;
}

interface Present {
  head: string;
  /** The tree of the work tree; null if nothing is uncommitted. */
  tree: string | null;
  /** The number of uncommitted files. */
  dirty: number;
}

/** A subject with all that can be found out about it alone. */
export interface Work extends Omit<Present, "tree">, Pick<Distance, "ahead" | "behind" | "own"> {
  name: string;
  /** `head`, or a commit on top of it with everything uncommitted. */
  commit: string;
  /** Where its history left the target's; one of several commits unless it is the `single` one. */
  base: string;
  single: boolean;
  /** From `base` to `commit`. */
  changes: Changes;
  footprint: Footprint;
  /** From `since`, if that is one of its own commits; else the same as `changes`. */
  recent: Changes;
}

export interface Survey {
  works: Work[];
  skipped: { name: string; reason: string }[];
}

/** Checkouts read in parallel. */
const CONCURRENCY = 2;

/** Reads every subject; skips those that cannot be read or share no history with the target. */
export async function survey(scene: Scene, subjects: readonly Subject[]): Promise<Survey> {
  const { present, skipped } = await presents(scene, subjects);
  const { world, root, target } = scene;
  const heads = present.map(({ head }) => head);
  const apart = await distances(world, root, target, heads);
  const found: Omit<Work, "changes" | "footprint" | "recent">[] = [];
  const spans: Span[] = [];
  for (const { since, ...one } of present) {
    const { own, borders, ahead, behind } = apart.get(one.head) ?? UNKNOWN;
    const { base, single } = await basesOf(world, root, [one.head, target.commit], borders);
    if (base === undefined) {
      skipped.push({ name: one.name, reason: `It shares no history with ${target.branch}.` });
      continue;
    }
    found.push({ ...one, own, base, single, behind, ahead });
    spans.push([base, one.commit], [since !== undefined && own.has(since) ? since : base, one.commit]);
  }
  const changes = await readChanges(world, root, spans);
  const works = found.map((one, n): Work => {
    const [all = [], recent = []] = changes.slice(2 * n);
    return { ...one, changes: all, footprint: footprint(all), recent };
  });
  return { works, skipped };
}

const UNKNOWN: Distance = { ahead: 0, behind: 0, own: new Set(), borders: new Set() };

/** The merge base of a head and the target, given the commits of the target that the head's own ones begin on. */
async function basesOf(world: VcsWorld, root: string, tips: readonly string[], borders: ReadonlySet<string>) {
  const [border] = borders;
  if (borders.size < 2) return { base: border, single: true };
  const { stdout } = await runGit(world, root, ["merge-base", "--all", ...tips], { okCodes: [1] });
  const [base, ...more] = stdout.split("\n").filter((line) => line !== "");
  return { base, single: more.length === 0 };
}

async function presents({ quarantine, root }: Scene, subjects: readonly Subject[]) {
  const skipped: Survey["skipped"] = [];
  const seen = await mapAtMost(CONCURRENCY, subjects, async ({ name, checkout, since }) => {
    try {
      return [{ name, since, ...(await presentOf(quarantine, checkout)) }];
    } catch (error) {
      skipped.push({ name, reason: asFault(error).message });
      return [];
    }
  });
  const found = seen.flat();
  const wanted = found.flatMap(({ head, tree }) => (tree === null ? [] : [{ tree, parent: head }]));
  const commits = (await makeCommits(quarantine, root, wanted)).values();
  const present = found.map(({ tree, ...one }) => ({
    ...one,
    commit: tree === null ? one.head : (commits.next().value ?? one.head),
  }));
  return { present, skipped };
}

/**
 * Reads a checkout. Its work tree is read once and its index only copied: what differs is added to the copy by name.
 * Faults `vcs.no_folder`, `vcs.no_commits`, `vcs.failed`.
 */
async function presentOf(quarantine: Quarantine, checkout: Checkout): Promise<Present> {
  const lines = await gitEntries(quarantine.world, checkout.path, STATUS);
  const head = lines.map((line) => /^# branch\.oid ([0-9a-f]+)$/.exec(line)?.[1]).find((found) => found !== undefined);
  if (head === undefined) throw new Fault("conflict", "vcs.no_commits", "It has no commits yet.");
  const differing = lines.filter((line) => !line.startsWith("# "));
  if (differing.length === 0) return { head, tree: null, dirty: 0 };
  return { head, tree: await treeOf(quarantine, checkout, differing.map(pathIn)), dirty: differing.length };
}

const STATUS = [
  ...["-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch", "-z"],
  ...["--no-renames", "--no-ahead-behind", "--untracked-files=all", "--ignore-submodules=none"],
];

/** The number of fields before the path, by the kind of line. */
const FIELDS: Readonly<Record<string, number>> = { "1": 8, u: 10, "?": 1 };

function pathIn(line: string): string {
  let start = 0;
  for (let field = FIELDS[line[0] ?? ""] ?? 1; field > 0; field--) start = line.indexOf(" ", start) + 1;
  return line.slice(start).replace(/\/$/, "");
}

const QUIETLY = ["-c", "core.fsmonitor=false", "-c", "core.splitIndex=false", "-c", "core.safecrlf=false"];

async function treeOf({ world, folder }: Quarantine, checkout: Checkout, paths: readonly string[]): Promise<string> {
  const index = join(folder, `index-${indexes++}`);
  const env = { GIT_INDEX_FILE: index };
  try {
    await copyIndex(join(await gitDirOf(checkout.path), "index"), index);
    const update = ["update-index", "-z", "--add", "--remove", "--replace", "--stdin"];
    const input = paths.map((path) => `${path}\0`).join("");
    await runGit(world, checkout.path, [...QUIETLY, ...update], { env, input });
    return await gitLine(world, checkout.path, [...QUIETLY, "write-tree"], { env });
  } catch (error) {
    if (!(error instanceof Fault) && !(error instanceof Error && "code" in error)) throw error;
    // Files change while an agent works, and update-index refuses some by name: a full snapshot copes with both.
    return (await snapshot(world, checkout)).tree;
  }
}

let indexes = 0;
