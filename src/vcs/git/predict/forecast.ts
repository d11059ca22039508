import type { Standing, Target, VcsWorld } from "../../vcs.js";
import { footprint, mayConflict, overlap, pathsOf, readChanges, type Span } from "../changes.js";
import { mergePairs } from "../merge.js";
import { treeOf } from "../saved-commit.js";
import { inQuarantine, makeCommits } from "./quarantine.js";
import { type Scene, type Subject, type Survey, survey, type Work } from "./survey.js";

interface Clash {
  a: string;
  /** Null for the target. */
  b: string | null;
  paths: string[];
}

export interface Forecast {
  /** By `a`, then `b`, the target first. */
  clashes: Clash[];
  /** One for each checkout that was not skipped. */
  seen: Seen[];
  skipped: Survey["skipped"];
}

/** One checkout by itself. */
export interface Seen extends Pick<Standing, "behind" | "ahead"> {
  name: string;
  /** The number of uncommitted files. */
  dirty: number;
  /** Paths changed since it left the target, sorted. */
  paths: string[];
  /** Paths changed after `since`, if that is one of its own commits; else all. */
  recent: string[];
}

/**
 * Predicts which checkouts of a repository would conflict when their work, uncommitted files included, lands on
 * `target`: with each other and with the target as it is. Writes to no checkout, index or repository. Skips checkouts
 * that cannot be read.
 *
 * Checkouts that left the target at the same commit are merged with each other. Others, and those of which a part has
 * landed, are first merged with the target: conflicts there are the checkout's own, and only other paths can be the
 * pair's. What has landed collides with no other checkout, only the target does. Faults `vcs.too_old`, `vcs.failed`.
 */
export function forecast(
  world: VcsWorld,
  root: string,
  target: Target,
  subjects: readonly Subject[],
): Promise<Forecast> {
  return inQuarantine(world, root, async (quarantine) => {
    const scene: Scene = { quarantine, world: quarantine.world, root, target };
    const { works, skipped } = await survey(scene, subjects);
    const busy = works.filter((work) => work.commit !== work.base && !(isPartlyLanded(work) && hasNothingLeft(work)));
    const alone = await againstTarget(scene, busy);
    const unlanded = busy.filter(({ name }) => !alone.landed.has(name));
    const paired = await againstEachOther(scene, unlanded, alone);
    return { clashes: inOrder([...alone.clashes, ...paired]), seen: works.map(toSeen), skipped };
  });
}

function toSeen({ name, behind, ahead, dirty, changes, recent }: Work): Seen {
  return { name, behind, ahead, dirty, paths: pathsOf(changes), recent: pathsOf(recent) };
}

/** The merge of each work with the newest target, unless it is based on it. */
interface Alone {
  /** Those that the target has whole, under whatever ids. */
  landed: ReadonlySet<string>;
  clashes: Clash[];
  merges: ReadonlyMap<string, { tree: string; conflicts: readonly string[] }>;
}

async function againstTarget({ world, root, target }: Scene, works: readonly Work[]): Promise<Alone> {
  const behind = works.filter((work) => !isOn(work, target));
  const differ =
    new Set(works.map((work) => work.base)).size > 1 || behind.some((work) => !work.single || isPartlyLanded(work));
  const bases = [...new Set(behind.map((work) => work.base))];
  const spans = bases.map((base): Span => [base, target.commit]);
  const news = await readChanges(world, root, spans);
  const newsSince = new Map(bases.map((base, n) => [base, footprint(news[n] ?? [])]));
  const wanted = behind.filter((work) => {
    const theirs = newsSince.get(work.base);
    return differ || theirs === undefined || mayConflict(work.footprint, theirs);
  });
  const pairs = wanted.map(({ commit }): Span => [commit, target.commit]);
  const merges = await mergePairs(world, root, pairs);
  const targetTree = wanted.length === 0 ? "" : await treeOf(world, root, target.commit);
  const clashes = wanted.map((work, n) => ({ a: work.name, b: null, paths: merges[n]?.conflicts ?? [] }));
  return {
    landed: new Set(wanted.filter((_, n) => merges[n]?.tree === targetTree).map(({ name }) => name)),
    clashes: clashes.filter(({ paths }) => paths.length > 0),
    merges: new Map(wanted.flatMap((work, n) => (merges[n] === undefined ? [] : [[work.name, merges[n]]]))),
  };
}

const isPartlyLanded = ({ own, ahead }: Work) => ahead < own.size;
const hasNothingLeft = ({ ahead, dirty }: Work) => ahead === 0 && dirty === 0;
const isOn = (work: Pick<Work, "base" | "single">, target: Target) => work.base === target.commit && work.single;

async function againstEachOther(scene: Scene, works: readonly Work[], alone: Alone): Promise<Clash[]> {
  const pairs = works.flatMap((a, n) => works.slice(n + 1).map((b): [Work, Work] => [a, b]));
  const level = pairs
    .filter(isLevel)
    .map(([a, b]) => ({ a, b, free: overlap(a.own, b.own) || mayConflict(a.footprint, b.footprint) }));
  const uneven = pairs.filter((pair) => !isLevel(pair));
  const brought = await bringUp(scene, [...new Set(uneven.flat())], alone);
  const candidates = [
    ...level.filter(({ free }) => free).map(({ a, b }) => ({ a, b, commits: [a.commit, b.commit] as const })),
    ...uneven.flatMap(([a, b]) => {
      const [x, y] = [brought.get(a), brought.get(b)];
      if (x === undefined || y === undefined || !mayConflict(x.footprint, y.footprint)) return [];
      return [{ a, b, commits: [x.commit, y.commit] as const }];
    }),
  ];
  const commits = candidates.map((pair) => pair.commits);
  const merges = await mergePairs(scene.world, scene.root, commits);
  return candidates.flatMap(({ a, b }, n) => {
    const targets = isLevel([a, b]) ? [] : [a, b].flatMap(({ name }) => alone.merges.get(name)?.conflicts ?? []);
    const paths = (merges[n]?.conflicts ?? []).filter((path) => !targets.includes(path));
    return paths.length === 0 ? [] : [{ a: a.name, b: b.name, paths }];
  });
}

/** True if both left the target at the same commit, whole. */
const isLevel = ([a, b]: readonly [Work, Work]) =>
  a.base === b.base && [a, b].every((work) => work.single && !isPartlyLanded(work));

/** Each work as a commit on the newest target. */
async function bringUp(scene: Scene, works: readonly Work[], { merges }: Alone) {
  const wanted = works.flatMap(({ name, base, single }) => {
    const tree = merges.get(name)?.tree;
    return isOn({ base, single }, scene.target) || tree === undefined ? [] : [{ tree, parent: scene.target.commit }];
  });
  const made = (await makeCommits(scene.quarantine, scene.root, wanted)).values();
  const commits = works.map((work) => (isOn(work, scene.target) ? work.commit : (made.next().value ?? work.commit)));
  const spans = commits.map((commit): Span => [scene.target.commit, commit]);
  const changes = await readChanges(scene.world, scene.root, spans);
  return new Map(works.map((work, n) => [work, { commit: commits[n] ?? "", footprint: footprint(changes[n] ?? []) }]));
}

function inOrder(clashes: Clash[]): Clash[] {
  const key = ({ a, b }: Clash) => `${a}\0${b ?? ""}`;
  return clashes.sort((x, y) => (key(x) < key(y) ? -1 : 1));
}
