import type { VcsWorld } from "../vcs.js";
import { runGit, runGits } from "./run.js";

/** How many commits a head has that the target lacks, and the other way round. */
export interface Distance {
  ahead: number;
  behind: number;
}

/**
 * The distances of many heads from one target: one walk over what they do not all have in
 * common, and the counting in here. A head that is not in the repository is left out.
 */
export async function distances(
  world: VcsWorld,
  root: string,
  target: string,
  heads: readonly string[],
): Promise<Map<string, Distance>> {
  const others = [...new Set(heads)].filter((head) => head !== target);
  const known = new Map<string, Distance>([[target, { ahead: 0, behind: 0 }]]);
  if (others.length === 0) return known;
  const together = others.length > 1 ? await walkTogether(world, root, target, others) : undefined;
  const rest = together ?? (await oneByOne(world, root, target, others));
  return new Map([...known, ...rest]);
}

/** All commits of the given ones beyond what they have in common, each with its parents. */
const WALK = `bases=$(git merge-base --octopus --all "$@") && exec git rev-list --parents "$@" --not $bases`;

/** Undefined when a head is broken or shares nothing with the others: then each is counted for itself. */
async function walkTogether(
  world: VcsWorld,
  root: string,
  target: string,
  heads: readonly string[],
): Promise<Map<string, Distance> | undefined> {
  const stdout = await runGits(world, root, WALK, [target, ...heads]);
  if (stdout === undefined) return undefined;
  const parents = new Map<string, string[]>();
  for (const line of stdout.split("\n")) {
    const [commit = "", ...before] = line.split(" ");
    if (commit !== "") parents.set(commit, before);
  }
  const ofTarget = reachable(parents, target);
  return new Map(heads.map((head) => [head, compare(ofTarget, reachable(parents, head))]));
}

function reachable(parents: ReadonlyMap<string, readonly string[]>, from: string): Set<string> {
  const seen = new Set<string>();
  const open = [from];
  for (let commit = open.pop(); commit !== undefined; commit = open.pop()) {
    const before = parents.get(commit);
    if (before === undefined || seen.has(commit)) continue;
    seen.add(commit);
    open.push(...before);
  }
  return seen;
}

function compare(ofTarget: ReadonlySet<string>, ofHead: ReadonlySet<string>): Distance {
  let shared = 0;
  for (const commit of ofHead) if (ofTarget.has(commit)) shared += 1;
  return { ahead: ofHead.size - shared, behind: ofTarget.size - shared };
}

async function oneByOne(
  world: VcsWorld,
  root: string,
  target: string,
  heads: readonly string[],
): Promise<Map<string, Distance>> {
  const known = new Map<string, Distance>();
  for (const head of heads) {
    const args = ["rev-list", "--left-right", "--count", `${target}...${head}`];
    const counts = await runGit(world, root, args).catch(() => undefined);
    const [behind, ahead] = counts?.stdout.trim().split("\t").map(Number) ?? [];
    if (behind !== undefined && ahead !== undefined) known.set(head, { ahead, behind });
  }
  return known;
}
