import type { Target, VcsWorld } from "../vcs.js";
import { arrivedIn, parseWalk, reachable } from "./arrived.js";
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
  target: Omit<Target, "branch">,
  heads: readonly string[],
): Promise<Map<string, Distance>> {
  const others = [...new Set(heads)].filter((head) => head !== target.commit);
  const known = new Map<string, Distance>([[target.commit, { ahead: 0, behind: 0 }]]);
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
  { commit: target, landed = [] }: Omit<Target, "branch">,
  heads: readonly string[],
): Promise<Map<string, Distance> | undefined> {
  const stdout = await runGits(world, root, WALK, [target, ...heads]);
  if (stdout === undefined) return undefined;
  const walk = parseWalk(stdout);
  const ofTarget = reachable(walk, [target]);
  const arrived = arrivedIn(walk, landed);
  return new Map(heads.map((head) => [head, compare({ ofTarget, arrived }, reachable(walk, [head]))]));
}

interface Shore {
  ofTarget: ReadonlySet<string>;
  /** What the target has under other names. */
  arrived: ReadonlySet<string>;
}

function compare({ ofTarget, arrived }: Shore, ofHead: ReadonlySet<string>): Distance {
  let shared = 0;
  let ahead = 0;
  for (const commit of ofHead) {
    if (ofTarget.has(commit)) shared += 1;
    else if (!arrived.has(commit)) ahead += 1;
  }
  return { ahead, behind: ofTarget.size - shared };
}

async function oneByOne(
  world: VcsWorld,
  root: string,
  { commit: target, landed = [] }: Omit<Target, "branch">,
  heads: readonly string[],
): Promise<Map<string, Distance>> {
  const known = new Map<string, Distance>();
  const walk = async (...range: string[]) => {
    const found = await runGit(world, root, ["rev-list", "--parents", ...range]).catch(() => undefined);
    return found && parseWalk(found.stdout);
  };
  for (const head of heads) {
    const behind = (await walk(target, `^${head}`))?.size;
    const own = await walk(head, `^${target}`);
    const ahead = own && own.size - arrivedIn(own, landed).size;
    if (behind !== undefined && ahead !== undefined) known.set(head, { ahead, behind });
  }
  return known;
}
