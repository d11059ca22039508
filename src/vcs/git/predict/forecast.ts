import type { Standing, Target, VcsWorld } from "../../vcs.js";
import { mergePairs } from "../merge.js";
import { footprint, meet, pathsOf, readChanges, type Span } from "./changes.js";
import { inQuarantine, makeCommits } from "./quarantine.js";
import { NO_CHANGES, type Sky, type Subject, type Survey, survey, type Work } from "./survey.js";

interface Clash {
  a: string;
  /** Null for the target. */
  b: string | null;
  paths: string[];
}

export interface Forecast {
  /** By `a`, then `b`, the target first. */
  clashes: Clash[];
  /** What was found out about each that was not skipped. */
  seen: Seen[];
  skipped: Survey["skipped"];
}

/** One checkout by itself. */
export interface Seen extends Pick<Standing, "behind" | "ahead"> {
  name: string;
  /** Files that are not committed. */
  dirty: number;
  /** What it changes since it left the target, sorted. */
  paths: string[];
  /** The part of it behind its `since`, where that is a commit of its own that has not landed; else all. */
  recent: string[];
}

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
    const sky: Sky = { quarantine, world: quarantine.world, root, target };
    const { works, skipped } = await survey(sky, subjects);
    const busy = works.filter((work) => work.commit !== work.base);
    const alone = await againstTarget(sky, busy);
    const paired = await againstEachOther(sky, busy, alone);
    return { clashes: inOrder([...alone.clashes, ...paired]), seen: works.map(toSeen), skipped };
  });
}

function toSeen({ name, behind, ahead, dirty, changes, recent }: Work): Seen {
  return { name, behind, ahead, dirty, paths: pathsOf(changes), recent: pathsOf(recent) };
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

const isOn = (work: Pick<Work, "base" | "single">, target: Target) => work.base === target.commit && work.single;

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
  const unborn = works.flatMap(({ name, base, single }) => {
    const tree = merges.get(name)?.tree;
    return isOn({ base, single }, sky.target) || tree === undefined ? [] : [{ tree, parent: sky.target.commit }];
  });
  const made = (await makeCommits(sky.quarantine, sky.root, unborn)).values();
  const commits = works.map((work) => (isOn(work, sky.target) ? work.commit : (made.next().value ?? work.commit)));
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
