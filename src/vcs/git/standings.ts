import { readdir } from "node:fs/promises";
import type { Standing, Target, VcsWorld } from "../vcs.js";
import { distances } from "./distance.js";
import { findGitDir, isThere, readHead } from "./places.js";
import { runGit } from "./run.js";

/** How many checkouts are looked through at the same time. */
const AT_ONCE = 4;

/**
 * How all these checkouts stand. HEADs come from files, all distances from two walks whatever their number, and only
 * what is not committed costs a process per checkout; those run beside each other and beside the walks.
 */
export async function standings(
  world: VcsWorld,
  root: string,
  paths: readonly string[],
  target: Target | null,
): Promise<Standing[]> {
  const places = await Promise.all(paths.map(locate));
  const heads = places.flatMap(({ head }) => head ?? []);
  const [dirty, known] = await Promise.all([
    inParallel(places, async ({ path, head }) => (head === null ? null : countDirty(world, path))),
    target === null ? undefined : distances(world, root, target.commit, heads),
  ]);
  return places.map(({ path, present, head, underway }, at) => {
    const { ahead = null, behind = null } = (head !== null && known?.get(head)) || {};
    return { path, present, head, ahead, behind, dirty: dirty[at] ?? null, underway };
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

const STATUS = ["-c", "core.fsmonitor=false", "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all"];

async function countDirty(world: VcsWorld, path: string): Promise<number | null> {
  try {
    const { stdout } = await runGit(world, path, STATUS);
    return stdout.split("\0").length - 1;
  } catch {
    return null;
  }
}

async function inParallel<T, R>(items: readonly T[], act: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [at, item] of queue) results[at] = await act(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}
