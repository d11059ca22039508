import { dirname, join } from "node:path";
import { mapAtMost } from "../../at-most.js";
import { sync } from "../../whole-file.js";
import type { VcsWorld } from "../vcs.js";
import { commonDirOf, gitDirOf } from "./git-dir.js";
import { gitLines } from "./run.js";

/** Files synced in parallel. */
const CONCURRENCY = 8;

/**
 * Syncs what a save alone keeps alive: the loose objects of `commit` that `known` lacks, and the folders of its ref. What
 * an agent committed a moment ago may be in the memory of the machine only, because its git does not sync objects.
 */
export async function syncSave(
  world: VcsWorld,
  root: string,
  { place, commit }: { place: string; commit: string },
  known: readonly string[],
): Promise<void> {
  const common = await commonDirOf(await gitDirOf(root));
  const what = ["--objects", "--no-object-names", "--missing=allow-promisor"];
  const ids = await gitLines(world, root, ["rev-list", ...what, commit, "--not", ...known]);
  const folders = new Set<string>();
  await mapAtMost(CONCURRENCY, ids, async (id) => {
    const folder = join(common, "objects", id.slice(0, 2));
    if (await sync(join(folder, id.slice(2)))) folders.add(folder).add(dirname(folder));
  });
  for (let at = dirname(place); at !== "."; at = dirname(at)) folders.add(join(common, at));
  for (const folder of folders) await sync(folder);
}
