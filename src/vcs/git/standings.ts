import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { mapAtMost } from "../../at-most.js";
import type { Standing, Target, VcsWorld } from "../vcs.js";
import { findGitDir, operationIn, readHead } from "./git-dir.js";
import { landedIn, parseWalk, reachable } from "./history.js";
import { runGits } from "./run.js";

/** Checkouts whose status is read in parallel. */
const CONCURRENCY = Math.min(4, Math.max(2, availableParallelism()));

/**
 * How far these checkouts are from the target. HEADs are read from files and one walk gives all distances; only the
 * status costs a git process per checkout. Those run in parallel with the walk.
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

async function locate(path: string): Promise<Pick<Standing, "path" | "present" | "head" | "underway">> {
  const gitDir = await findGitDir(path);
  const names = gitDir === undefined ? [] : await readdir(gitDir).catch(() => []);
  if (gitDir === undefined || names.length === 0)
    return { path, present: existsSync(path), head: null, underway: null };
  const head = (await readHead(gitDir).catch(() => undefined)) ?? null;
  return { path, present: true, head, underway: operationIn(names) };
}

/** Prints the status of each folder, then an empty entry and git's exit code; status entries are never empty. */
const STATUS = `for folder do
git -C "$folder" -c core.fsmonitor=false status --porcelain -z --no-renames --untracked-files=all 2>/dev/null
printf '\\0%d\\0' $?
done`;

/** The number of uncommitted files in each folder; null if git fails. */
async function countDirty(
  world: VcsWorld,
  root: string,
  paths: readonly string[],
): Promise<Map<string, number | null>> {
  const shares = Array.from({ length: CONCURRENCY }, (_, share) => paths.filter((_, at) => at % CONCURRENCY === share));
  const counted = await Promise.all(
    shares.map(async (share) => {
      const output = share.length === 0 ? "" : await runGits(world, root, STATUS, share);
      return countEntries(share, output ?? "");
    }),
  );
  return new Map(counted.flat());
}

function countEntries(paths: readonly string[], output: string): [string, number | null][] {
  const entries = output.split("\0");
  let at = 0;
  return paths.map((path) => {
    const end = entries.indexOf("", at);
    const count = end - at;
    const isKnown = entries[end + 1] === "0";
    at = end + 2;
    return [path, isKnown ? count : null];
  });
}

/** How a head and the target have parted. */
export interface Distance {
  /** The number of commits that only the head has, without those that have landed under other ids. */
  ahead: number;
  /** The number of commits that only the target has. */
  behind: number;
  /** All commits that only the head has. */
  own: ReadonlySet<string>;
  /** The commits of the target that those begin on. */
  borders: ReadonlySet<string>;
}

type Goal = Omit<Target, "branch">;

/** The distance of each head from the target, with one walk for all if possible. Omits heads that do not exist. */
export async function distances(
  world: VcsWorld,
  root: string,
  target: Goal,
  heads: readonly string[],
): Promise<Map<string, Distance>> {
  const others = [...new Set(heads)].filter((head) => head !== target.commit);
  const onTarget = { ahead: 0, behind: 0, own: new Set<string>(), borders: new Set([target.commit]) };
  const known = new Map<string, Distance>([[target.commit, onTarget]]);
  const together = await distancesIn(world, root, target, others);
  const groups = together === undefined ? others.map((head) => [head]) : [];
  const alone = await mapAtMost(CONCURRENCY, groups, (group) => distancesIn(world, root, target, group));
  return new Map([...known, ...(together ?? alone.flatMap((found) => found ?? []))]);
}

/** All commits that are not common to all tips, each with its parents; a single head need not share any with the target. */
const WALK = `bases=$(git merge-base --octopus --all "$@") || [ $# -eq 2 ] || exit 1
exec git rev-list --parents "$@" --not $bases --`;

/** Undefined if a head does not exist, or several do not share history with the target. */
async function distancesIn(
  world: VcsWorld,
  root: string,
  { commit: target, landed = [] }: Goal,
  heads: readonly string[],
): Promise<[string, Distance][] | undefined> {
  if (heads.length === 0) return [];
  const stdout = await runGits(world, root, WALK, [target, ...heads]);
  if (stdout === undefined) return undefined;
  const walk = parseWalk(stdout);
  const ofTarget = reachable(walk, [target]);
  const onTarget = landedIn(walk, landed);
  return heads.map((head) => {
    const ofHead = [...reachable(walk, [head])];
    const own = new Set(ofHead.filter((commit) => !ofTarget.has(commit)));
    const parents = own.size === 0 ? [head] : [...own].flatMap((commit) => walk.get(commit) ?? []);
    return [
      head,
      {
        ahead: [...own].filter((commit) => !onTarget.has(commit)).length,
        behind: ofTarget.size - (ofHead.length - own.size),
        own,
        borders: new Set(parents.filter((commit) => !own.has(commit))),
      },
    ];
  });
}
