import { readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { Standing, Target, VcsWorld } from "../vcs.js";
import { findGitDir, isThere, readHead, underwayIn } from "./git-dir.js";
import { arrivedIn, parseWalk, reachable } from "./history.js";
import { runGit, runGits } from "./run.js";

/** How many checkouts are looked through at the same time: more than cores only makes them wait for each other. */
const AT_ONCE = Math.min(4, Math.max(2, availableParallelism()));

/**
 * How all these checkouts stand. HEADs come from files, all distances from one walk whatever their number, and only
 * what is not committed costs a git per checkout; those run beside each other and beside the walk.
 */
export async function standings(
  world: VcsWorld,
  root: string,
  paths: readonly string[],
  target: Target | null,
): Promise<Standing[]> {
  const places = await Promise.all(paths.map(locate));
  const heads = places.flatMap(({ head }) => head ?? []);
  const whole = places.filter(({ head }) => head !== null).map(({ path }) => path);
  const [dirty, known] = await Promise.all([
    countDirty(world, root, whole),
    target === null ? undefined : distances(world, root, target, heads),
  ]);
  return places.map(({ path, present, head, underway }) => {
    const { ahead = null, behind = null } = (head !== null && known?.get(head)) || {};
    return { path, present, head, ahead, behind, dirty: dirty.get(path) ?? null, underway };
  });
}

type Place = Pick<Standing, "path" | "present" | "head" | "underway">;

async function locate(path: string): Promise<Place> {
  const gitDir = await findGitDir(path);
  const names = gitDir === undefined ? [] : await readdir(gitDir).catch(() => []);
  if (gitDir === undefined || names.length === 0)
    return { path, present: await isThere(path), head: null, underway: null };
  const head = (await readHead(gitDir).catch(() => undefined)) ?? null;
  return { path, present: true, head, underway: underwayIn(names) };
}

/** Prints the status of each folder, then an empty entry and git's exit code: no entry of a status is empty. */
const STATUS = `for folder do
git -C "$folder" -c core.fsmonitor=false status --porcelain -z --no-renames --untracked-files=all 2>/dev/null
printf '\\0%d\\0' $?
done`;

/** How many files are not committed in each of these folders; null where git cannot tell. */
async function countDirty(
  world: VcsWorld,
  root: string,
  paths: readonly string[],
): Promise<Map<string, number | null>> {
  const shares = Array.from({ length: AT_ONCE }, (_, share) => paths.filter((_, at) => at % AT_ONCE === share));
  const counted = await Promise.all(
    shares.map(async (share) => {
      const entries = share.length === 0 ? "" : await runGits(world, root, STATUS, share);
      return countEntries(share, entries ?? "");
    }),
  );
  return new Map(counted.flat());
}

function countEntries(paths: readonly string[], printed: string): [string, number | null][] {
  const entries = printed.split("\0");
  let at = 0;
  return paths.map((path) => {
    const end = entries.indexOf("", at);
    const count = end - at;
    const isKnown = entries[end + 1] === "0";
    at = end + 2;
    return [path, isKnown ? count : null];
  });
}

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
