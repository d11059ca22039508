import type { Reader } from "../db/schema.js";
import { insteadOfFault } from "../errors.js";
import { type AgentRef, qualifiedName } from "../names.js";
import type { WorkBegun } from "../tasks/claim.js";
import type { TaskRow } from "../tasks/task.js";
import type { Since, Snapshot, Standing, VcsBackend, VcsWorld } from "../vcs/vcs.js";
import { findWorkspaceRow, type WorkspaceRow } from "../workspaces/workspace.js";

/** Earlier starts that are looked up if each needs a process. */
const MAX_STARTS = 8;

/**
 * Where the agent works; undefined without a ready workspace, or if its repository cannot be read, which does not stop
 * a claim. Starts a program only if the agent had the task before.
 */
export async function workBeforeClaim(
  world: VcsWorld,
  db: Reader,
  agent: AgentRef,
  task: string | undefined,
): Promise<WorkBegun | undefined> {
  const space = await readyWorkspace(db, agent);
  if (space === undefined) return undefined;
  const backend = await backendOf(space);
  const head = await backend.head(world, space).catch(insteadOfFault(undefined));
  if (head === undefined) return undefined;
  const continues =
    head === null ? [] : await containedStarts(world, { backend, space, head }, await earlierStarts(db, space, task));
  return { agent: space.agent, root: space.root, head, continues: new Set(continues) };
}

/** The earlier starting commits that the workspace still contains. */
async function containedStarts(
  world: VcsWorld,
  { backend, space, head }: { backend: VcsBackend; space: WorkspaceRow; head: string },
  earlier: readonly string[],
): Promise<Iterable<string>> {
  if (earlier.every((from) => from === head)) return earlier;
  if (backend.contained !== undefined) {
    return backend
      .contained(world, space.root, head, earlier)
      .catch(insteadOfFault(earlier.filter((from) => from === head)));
  }
  const kept = await Promise.all(
    earlier.slice(0, MAX_STARTS).map(async (from) => {
      if (from === head) return from;
      const since = await backend.since?.(world, space, from).catch(insteadOfFault(undefined));
      return since?.base === from ? from : undefined;
    }),
  );
  return kept.filter((from) => from !== undefined);
}

/** The commits of a task, and the state of its owner's workspace. */
export interface WorkDone {
  space: WorkspaceRow;
  /** Null for a copy, and where the workspace is gone. */
  from: string | null;
  to: string | null;
  /** How many commits that is; null if unknown. */
  commits: number | null;
  standing: Standing | undefined;
}

/**
 * What the owner of a task has done so far; undefined if it has no workspace. With
 * `compareWithTarget`, the standing also says how far the workspace is from its target. Work in unreadable history is unknown. Faults
 * `vcs.*` of the target.
 */
export async function workOfTask(
  world: VcsWorld,
  db: Reader,
  row: TaskRow,
  { compareWithTarget }: { compareWithTarget: boolean },
): Promise<WorkDone | undefined> {
  if (row.owner === null) return undefined;
  const space = await readyWorkspace(db, { workstream: row.workstream, name: row.owner });
  if (space === undefined) return undefined;
  const backend = await backendOf(space);
  // Loaded only when needed, to keep claims fast.
  const { targetOf } = compareWithTarget ? await import("../workspaces/target.js") : {};
  const target = (await targetOf?.(world, db, space)) ?? null;
  const [standing] = await backend.standings(world, space.root, [space.path], target);
  const isSame = row.work_agent === space.agent && row.work_root === space.root && row.work_from !== null;
  const from = isSame ? row.work_from : space.base_ref;
  const to = standing?.head ?? null;
  if (from === null || to === null || backend.since === undefined) {
    return { space, from: null, to: null, commits: null, standing };
  }
  const nothing: Since = { base: null, commits: [] };
  const { base, commits } = await backend.since(world, space, from).catch(insteadOfFault(nothing));
  if (base === null) return { space, from: null, to: null, commits: null, standing };
  const last = newestEnd(commits, await workOfOthers(db, row, space));
  return { space, from: commits[last] ?? base, to, commits: last < 0 ? commits.length : last, standing };
}

async function readyWorkspace(db: Reader, agent: AgentRef): Promise<WorkspaceRow | undefined> {
  const space = await findWorkspaceRow(db, agent);
  return space?.state === "ready" ? space : undefined;
}

/** The backend of a workspace, loaded on demand. */
export async function backendOf({ backend }: { backend: string }): Promise<VcsBackend> {
  const { getBackend } = await import("../vcs/backends.js");
  return getBackend(backend as VcsBackend["key"]);
}

/** Starting commits of OPEN tasks that the agent had before; only that of `task` if it is given. */
async function earlierStarts(db: Reader, space: WorkspaceRow, task: string | undefined): Promise<string[]> {
  let query = db
    .selectFrom("tasks")
    .select("work_from")
    .distinct()
    .where("workstream_id", "=", space.workstream_id)
    .where("work_agent", "=", space.agent)
    .where("work_root", "=", space.root)
    .where("work_from", "is not", null)
    .where("status", "=", "OPEN");
  if (task !== undefined) query = query.where("name", "=", task);
  return (await query.execute()).flatMap((row) => row.work_from ?? []);
}

/**
 * The place in `commits`, newest first, of the newest end of other tasks' work that contains all the older ones: work
 * that began before these commits, or at the end of such work. Work that began on top of this task's commits does not.
 */
function newestEnd(commits: readonly string[], others: readonly { from: string | null; to: string }[]): number {
  const places = new Map(commits.map((commit, place) => [commit, place]));
  const ends = others.flatMap(({ from, to }) => {
    const place = places.get(to);
    return place === undefined ? [] : [{ from, to, place }];
  });
  const held = new Set<string>();
  let newest = -1;
  for (const { from, to, place } of ends.sort((a, b) => b.place - a.place)) {
    if (from !== null && places.has(from) && !held.has(from)) continue;
    held.add(to);
    newest = place;
  }
  return newest;
}

/** The work of other tasks that were closed in this workspace. */
async function workOfOthers(db: Reader, row: TaskRow, space: WorkspaceRow) {
  const rows = await db
    .selectFrom("tasks")
    .select(["work_from", "work_to"])
    .where("workstream_id", "=", row.workstream_id)
    .where("work_agent", "=", space.agent)
    .where("work_root", "=", space.root)
    .where("work_to", "is not", null)
    .where("status", "=", "CLOSED")
    .where("id", "<>", row.id)
    .execute();
  return rows.flatMap(({ work_from: from, work_to: to }) => (to === null ? [] : [{ from, to }]));
}

/** Commits of a task that a landing returned. */
export interface EarlierWork {
  /** In whose workspace they are. */
  agent: string;
  /** The last of them. */
  commit: string;
}

/** The work that the newest landing of a task returned; undefined if there is none. */
export async function earlierWork(db: Reader, row: TaskRow): Promise<EarlierWork | undefined> {
  const landing = await db
    .selectFrom("landings")
    .select("state")
    .where("task_id", "=", row.id)
    .where("state", "in", ["landed", "conflict", "red"])
    .orderBy("id", "desc")
    .limit(1)
    .executeTakeFirst();
  if (landing === undefined || landing.state === "landed") return undefined;
  const refusal = await db
    .selectFrom("events")
    .select("payload")
    .where("scope", "=", row.workstream)
    .where("op", "=", "land.refuse")
    .where("subject", "=", qualifiedName(row))
    .orderBy("n", "desc")
    .limit(1)
    .executeTakeFirst();
  const { agent, commit } = JSON.parse(refusal?.payload ?? "{}") as Partial<EarlierWork>;
  return agent && commit ? { agent, commit } : undefined;
}

/** `ann's workspace, up to 0123456789`: where work is, for people. */
export function describeWork({ agent, commit }: EarlierWork): string {
  return `${agent}'s workspace, up to ${commit.slice(0, 10)}`;
}

/** What a check ran on, as far as version control knows. */
export interface Subject {
  commit: string | null;
  tree: string | null;
  /** True when there is more than `commit` has: files that are not committed. */
  dirty: boolean;
}

const UNKNOWN: Subject = { commit: null, tree: null, dirty: false };

/** What is in an owner's workspace now. */
export async function subjectOfWorkspace(world: VcsWorld, space: WorkspaceRow): Promise<Subject> {
  return subjectOf(await (await backendOf(space)).snapshot(world, space));
}

/** What is in the repository around `folder`; unknown outside of any. */
export async function subjectOfFolder(world: VcsWorld, folder: string): Promise<Subject> {
  const { detectBackend } = await import("../vcs/backends.js");
  return detectBackend(world, folder)
    .then(async ({ backend, root }) => subjectOf(await backend.snapshot(world, { root, path: root })))
    .catch(insteadOfFault(UNKNOWN));
}

function subjectOf(snapshot: Snapshot | undefined): Subject {
  return snapshot === undefined ? UNKNOWN : { commit: snapshot.head, tree: snapshot.tree, dirty: snapshot.dirty };
}
