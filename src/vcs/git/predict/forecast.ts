import { mapAtMost } from "../../../at-most.js";
import { Fault } from "../../../errors.js";
import type { Checkout, Target, VcsWorld } from "../../vcs.js";
import { mergePairs } from "../merge.js";
import { type Ancestry, readAncestry } from "./ancestry.js";
import { type Changes, pathsOf, readChanges, type Span } from "./changes.js";
import { type Footprint, footprint, meet } from "./meet.js";
import { commitTree, type Present, presentOf } from "./present.js";
import { inQuarantine } from "./quarantine.js";

/** A checkout that takes part, under a name of the caller's. */
export interface Subject {
  name: string;
  checkout: Checkout;
  /** A commit that the newest part of its work begins behind, if that is to be told apart. */
  since?: string | undefined;
}

export interface Clash {
  a: string;
  /** Null for the target. */
  b: string | null;
  paths: string[];
}

export interface Forecast {
  /** By `a`, then `b`, the target first. */
  clashes: Clash[];
  /** What each changes since it left the target; those that change nothing are in it too. */
  changes: Map<string, string[]>;
  /** What each changes behind its `since`, where that is a commit of its own that has not landed. */
  recent: Map<string, string[]>;
  skipped: { name: string; reason: string }[];
}

/** So many checkouts are read at a time. */
const SIDE_BY_SIDE = 2;

/**
 * Which checkouts of one repository would collide when their work, uncommitted files included, lands on `target`, and
 * which collide with the target as it is. Neither a checkout, nor an index, nor the repository is written to. A
 * checkout that cannot be read is skipped and named.
 *
 * Whose collision is it? Two checkouts that left the target at the same commit collide where merging them conflicts.
 * Where they left it at different commits, each is first brought up to the target: what conflicts on the way is that
 * checkout's own collision with the target, and only paths that are in neither's can be the pair's.
 *
 * Faults `vcs.too_old`, `vcs.failed`.
 */
export function forecast(
  world: VcsWorld,
  root: string,
  target: Target,
  subjects: readonly Subject[],
): Promise<Forecast> {
  return inQuarantine(world, root, async (quarantine) => {
    const sky: Sky = { world: quarantine.world, root, target };
    const { works, skipped } = await survey(sky, subjects);
    const recent = await measure(sky, works);
    const busy = works.filter((work) => work.commit !== work.base);
    const alone = await againstTarget(sky, busy);
    const paired = await againstEachOther(sky, busy, alone);
    const changes = new Map(works.map((work) => [work.name, pathsOf(work.changes)]));
    return { clashes: inOrder([...alone.clashes, ...paired]), changes, recent, skipped };
  });
}

interface Sky {
  world: VcsWorld;
  root: string;
  target: Target;
}

/** A subject with all that was found out about it. */
interface Work extends Present, Pick<Ancestry, "own" | "single"> {
  name: string;
  since: string | undefined;
  base: string;
  changes: Changes;
  footprint: Footprint;
}

const NO_CHANGES: Changes = { added: [], deleted: [], modified: [] };

async function survey({ world, root, target }: Sky, subjects: readonly Subject[]) {
  const skipped: Forecast["skipped"] = [];
  const seen = await mapAtMost(SIDE_BY_SIDE, subjects, async ({ name, checkout, since }) => {
    try {
      return [{ name, since, ...(await presentOf(world, checkout)) }];
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      skipped.push({ name, reason: error.message });
      return [];
    }
  });
  const present = seen.flat();
  const heads = present.map(({ head }) => head);
  const ancestry =
    heads.length === 0 ? new Map<string, Ancestry>() : await readAncestry(world, root, heads, target.commit);
  const works: Work[] = [];
  for (const one of present) {
    const { own = new Set<string>(), base, single = true } = ancestry.get(one.head) ?? {};
    if (base === undefined) skipped.push({ name: one.name, reason: `It shares no history with ${target.branch}.` });
    else works.push({ ...one, own, base, single, changes: NO_CHANGES, footprint: footprint(NO_CHANGES) });
  }
  return { works, skipped };
}

/** Fills in what every subject changes, and gives what it changed since its `since`. */
async function measure(sky: Sky, works: readonly Work[]): Promise<Map<string, string[]>> {
  const busy = works.filter((work) => work.commit !== work.base);
  const late = busy.filter(({ since, own }) => since !== undefined && own.has(since));
  const spans = busy.map(({ base, commit }): Span => [base, commit]);
  const lateSpans = late.map(({ since = "", commit }): Span => [since, commit]);
  const all = await readChanges(sky.world, sky.root, [...spans, ...lateSpans]);
  for (const [n, work] of busy.entries()) {
    work.changes = all[n] ?? NO_CHANGES;
    work.footprint = footprint(work.changes);
  }
  return new Map(late.map(({ name }, n) => [name, pathsOf(all[busy.length + n] ?? NO_CHANGES)]));
}

/** What came of each work that is not on the newest target: its conflicts, and its tree there. */
interface Alone {
  clashes: Clash[];
  merges: ReadonlyMap<string, { tree: string; conflicts: readonly string[] }>;
}

async function againstTarget(sky: Sky, works: readonly Work[]): Promise<Alone> {
  const behind = works.filter((work) => !isOn(work, sky.target));
  const differ = new Set(works.map((work) => work.base)).size > 1 || behind.some((work) => !work.single);
  const bases = [...new Set(behind.map((work) => work.base))];
  const news = await readChanges(
    sky.world,
    sky.root,
    bases.map((base) => [base, sky.target.commit]),
  );
  const newsSince = new Map(bases.map((base, n) => [base, footprint(news[n] ?? NO_CHANGES)]));
  const wanted = behind.filter((work) => {
    const theirs = newsSince.get(work.base);
    return differ || theirs === undefined || meet(work.footprint, theirs);
  });
  const merges = await mergePairs(
    sky.world,
    sky.root,
    wanted.map((work) => [work.commit, sky.target.commit]),
  );
  const clashes = wanted.map((work, n) => ({ a: work.name, b: null, paths: merges[n]?.conflicts ?? [] }));
  return {
    clashes: clashes.filter(({ paths }) => paths.length > 0),
    merges: new Map(wanted.flatMap((work, n) => (merges[n] === undefined ? [] : [[work.name, merges[n]]]))),
  };
}

const isOn = (work: Work, target: Target) => work.base === target.commit && work.single;

async function againstEachOther(sky: Sky, works: readonly Work[], alone: Alone): Promise<Clash[]> {
  const pairs = works.flatMap((a, n) => works.slice(n + 1).map((b): [Work, Work] => [a, b]));
  const level = pairs
    .filter(isLevel)
    .map(([a, b]) => ({ a, b, free: shareCommits(a, b) || meet(a.footprint, b.footprint) }));
  const uneven = pairs.filter((pair) => !isLevel(pair));
  const brought = await bringUp(sky, [...new Set(uneven.flat())], alone);
  const candidates = [
    ...level.filter(({ free }) => free).map(({ a, b }) => ({ a, b, commits: [a.commit, b.commit] as const })),
    ...uneven.flatMap(([a, b]) => {
      const [x, y] = [brought.get(a), brought.get(b)];
      if (x === undefined || y === undefined || !meet(x.footprint, y.footprint)) return [];
      return [{ a, b, commits: [x.commit, y.commit] as const }];
    }),
  ];
  const merges = await mergePairs(
    sky.world,
    sky.root,
    candidates.map(({ commits }) => commits),
  );
  return candidates.flatMap(({ a, b }, n) => {
    const targets = isLevel([a, b]) ? [] : [a, b].flatMap(({ name }) => alone.merges.get(name)?.conflicts ?? []);
    const paths = (merges[n]?.conflicts ?? []).filter((path) => !targets.includes(path));
    return paths.length === 0 ? [] : [{ a: a.name, b: b.name, paths }];
  });
}

/** True when both left the target at one and the same commit. */
const isLevel = ([a, b]: readonly [Work, Work]) => a.base === b.base && a.single && b.single;

function shareCommits(a: Work, b: Work): boolean {
  const [few, many] = a.own.size < b.own.size ? [a.own, b.own] : [b.own, a.own];
  for (const commit of few) if (many.has(commit)) return true;
  return false;
}

/** Each work as it would be on the newest target, as a commit there. */
async function bringUp(sky: Sky, works: readonly Work[], { merges }: Alone) {
  const commits = await mapAtMost(SIDE_BY_SIDE, works, async (work) => {
    if (isOn(work, sky.target)) return work.commit;
    const tree = merges.get(work.name)?.tree;
    if (tree === undefined) throw new Error(`${work.name} was not merged with the target`);
    return commitTree(sky.world, sky.root, tree, sky.target.commit);
  });
  const spans = commits.map((commit): Span => [sky.target.commit, commit]);
  const changes = await readChanges(sky.world, sky.root, spans);
  return new Map(
    works.map((work, n) => [work, { commit: commits[n] ?? "", footprint: footprint(changes[n] ?? NO_CHANGES) }]),
  );
}

function inOrder(clashes: Clash[]): Clash[] {
  const key = ({ a, b }: Clash) => `${a}\0${b ?? ""}`;
  return clashes.sort((x, y) => (key(x) < key(y) ? -1 : 1));
}
