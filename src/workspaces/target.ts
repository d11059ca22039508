import type { Reader } from "../db/schema.js";
import { ignoreFault } from "../errors.js";
import { getBackend } from "../vcs/backends.js";
import type { CommitRange, Target, VcsWorld } from "../vcs/vcs.js";

/** Where the work of a workspace lands, and what has landed there; null if there is no such branch. */
export async function targetOf(
  world: VcsWorld,
  db: Reader,
  { backend: key, root, branch }: { backend: string; root: string; branch: string | null },
): Promise<Target | null> {
  const backend = getBackend(key);
  const none = ignoreFault("vcs.no_target", "vcs.unknown_ref");
  const target = await backend.target(world, root, branch ?? undefined).catch(none);
  if (!target) return null;
  return { ...target, landed: await landedOn(world, db, { backend: key, root, commit: target.commit }) };
}

/** The landed work that this commit of a repository contains. */
export async function landedOn(
  world: VcsWorld,
  db: Reader,
  { backend: key, root, commit: tip }: { backend: string; root: string; commit: string },
): Promise<CommitRange[]> {
  const work = await landedWork(db, root);
  const commits = work.map(({ commit }) => commit);
  // A branch may have been reset since, and work may have landed on another one.
  const contained = work.length > 0 && (await getBackend(key).contained?.(world, root, tip, commits));
  return contained ? work.filter(({ commit }) => contained.has(commit)) : work;
}

/** Only this many newest landed tasks are known; older work counts as unlanded and is saved. */
const MAX_LANDED = 200;

/** The newest landed work of a repository: the commits in the workspace, and the commit it landed as. */
async function landedWork(db: Reader, root: string): Promise<(CommitRange & { commit: string })[]> {
  const tasks = await db
    .selectFrom("tasks")
    .select(["work_from", "work_to", "landed_commit"])
    .where("level", "=", "landed")
    .where("work_root", "=", root)
    .orderBy("closed_at", "desc")
    .limit(MAX_LANDED)
    .execute();
  return tasks.flatMap(({ work_from: from, work_to: to, landed_commit }) =>
    from === null || to === null ? [] : [{ from, to, commit: landed_commit ?? to }],
  );
}
