import type { Reader } from "../db/schema.js";
import { Fault } from "../errors.js";
import type { CommitRange, Target, VcsBackend, VcsWorld } from "../vcs/vcs.js";

/** What it takes to know where work lands; a host is one. */
export type TargetWorld = VcsWorld & { context: { store: { db: Reader } } };

/**
 * Where the work of a workspace lands, with what has landed of its repository; null where there is no such branch any
 * more, so that everything is saved.
 */
export async function targetOf(
  host: TargetWorld,
  backend: VcsBackend,
  { root, branch }: { root: string; branch: string | null },
): Promise<Target | null> {
  try {
    const target = await backend.target(host, root, branch ?? undefined);
    return target && { ...target, landed: await landedOn(host, backend, root, target) };
  } catch (error) {
    if (error instanceof Fault && (error.code === "vcs.no_target" || error.code === "vcs.unknown_ref")) return null;
    throw error;
  }
}

/** So many landed tasks are looked at: what landed before them counts as unlanded, and is saved. */
const NEWEST = 200;

interface LandedWork extends CommitRange {
  /** The commit that has it where it landed. */
  commit: string;
}

/** What has landed on this very branch, and is there still: a branch may be set back, and work may land elsewhere. */
async function landedOn(host: TargetWorld, backend: VcsBackend, root: string, target: Target): Promise<CommitRange[]> {
  const work = await landedWork(host.context.store.db, root);
  if (work.length === 0 || backend.contained === undefined) return work;
  const there = await backend.contained(
    host,
    root,
    target.commit,
    work.map(({ commit }) => commit),
  );
  return work.filter(({ commit }) => there.has(commit));
}

/** The work of a repository that landed last, as the agents that did it know its commits. */
async function landedWork(db: Reader, root: string): Promise<LandedWork[]> {
  const tasks = await db
    .selectFrom("tasks")
    .select(["work_from", "work_to", "landed_commit"])
    .where("level", "=", "landed")
    .where("work_root", "=", root)
    .orderBy("closed_at", "desc")
    .limit(NEWEST)
    .execute();
  return tasks.flatMap(({ work_from: from, work_to: to, landed_commit }) =>
    from === null || to === null ? [] : [{ from, to, commit: landed_commit ?? to }],
  );
}
