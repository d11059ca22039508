import { readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { Standing, Target, VcsWorld } from "../vcs.js";
import { distances } from "./distance.js";
import { findGitDir, isThere, readHead } from "./places.js";
import { runGits } from "./run.js";

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
    target === null ? undefined : distances(world, root, target.commit, heads),
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

const UNDERWAY: readonly (readonly [file: string, what: string])[] = [
  ["rebase-merge", "rebase"],
  ["rebase-apply", "rebase"],
  ["MERGE_HEAD", "merge"],
  ["CHERRY_PICK_HEAD", "cherry-pick"],
  ["REVERT_HEAD", "revert"],
  ["BISECT_LOG", "bisect"],
];

/** What somebody began in a checkout and did not end, by the names in its git folder; null for nothing. */
export function underwayIn(names: readonly string[]): string | null {
  return UNDERWAY.find(([file]) => names.includes(file))?.[1] ?? null;
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
