import type { Reader } from "../db/schema.js";
import { Fault, insteadOfFault } from "../errors.js";
import { type AgentRef, qualifiedName, quote, shellWord } from "../names.js";
import type { WorkBegun } from "../tasks/claim.js";
import type { TaskRow } from "../tasks/task.js";
import type { Loose, Since, Snapshot, Standing, VcsBackend, VcsWorld } from "../vcs/vcs.js";
import { backendOf, claimedAt, findWorkplace, hadWorkspace, type Workplace } from "./place.js";

/** Earlier starts that are looked up if each needs a process. */
const MAX_STARTS = 8;

/** A claim's beginning, and what is in the checkout already and belongs to no task. */
export interface Beginning extends WorkBegun {
  place: Workplace;
  loose: Loose | undefined;
}

/**
 * Where the agent works; undefined without a repository, or if it cannot be read, which does not stop a claim. Starts a
 * program only if the agent had the task before, or if its workspace has commits that may belong to no task.
 */
export async function workBeforeClaim(
  world: VcsWorld,
  db: Reader,
  agent: AgentRef,
  task: string | undefined,
  cwd?: string,
): Promise<Beginning | undefined> {
  const space = await findWorkplace(db, agent, cwd);
  if (space === undefined) return undefined;
  const backend = await backendOf(space);
  const head = await backend.head(world, space).catch(insteadOfFault(undefined));
  if (head === undefined) return undefined;
  const continues =
    head === null ? [] : await containedStarts(world, { backend, space, head }, await earlierStarts(db, space, task));
  const loose =
    head === null || space.shared ? undefined : await (await looseness()).looseBeforeClaim(world, db, space);
  return { agent: space.agent, root: space.root, head, continues: new Set(continues), place: space, loose };
}

/** Loaded only when needed, to keep claims fast. */
const looseness = () => import("./loose.js");

/** The earlier starting commits that the workspace still contains. */
async function containedStarts(
  world: VcsWorld,
  { backend, space, head }: { backend: VcsBackend; space: Workplace; head: string },
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
  space: Workplace;
  /** Null for a copy, and where the workspace is gone. */
  from: string | null;
  to: string | null;
  /** How many commits that is; null if unknown. */
  commits: number | null;
  standing: Standing | undefined;
  /** What is there besides and belongs to no task. */
  loose: Loose | undefined;
}

export interface WorkQuestion {
  /** Whether the standing says how far the workspace is from its target. */
  compareWithTarget?: boolean;
  /** Whether commits of no task belong to this one. */
  include?: boolean | undefined;
  /** The caller's folder, for an owner without a workspace. */
  cwd?: string | undefined;
}

/**
 * What the owner of a task has done so far; undefined if that was in no repository. A CLOSED task ends where it did.
 * Work in unreadable history is unknown. Faults `vcs.*` of the target, and `task.include_unclear`.
 */
export async function workOfTask(
  world: VcsWorld,
  db: Reader,
  row: TaskRow,
  { compareWithTarget = false, include = false, cwd }: WorkQuestion,
): Promise<WorkDone | undefined> {
  if (row.owner === null) return undefined;
  const found = await findWorkplace(db, { workstream: row.workstream, name: row.owner }, cwd);
  const where = found?.shared ? await sharedPlace(db, row, found) : { space: found, since: undefined };
  if (where?.space === undefined) return undefined;
  const { space, since } = where;
  const { shared } = space;
  const backend = await backendOf(space);
  const standing =
    shared && !compareWithTarget ? undefined : await standingOf(world, db, { space, backend }, compareWithTarget);
  const isSame = row.work_agent === space.agent && row.work_root === space.root && row.work_from !== null;
  const begun = isSame ? row.work_from : space.base_ref;
  const now = shared ? await backend.head(world, space).catch(insteadOfFault(undefined)) : standing?.head;
  const head = (row.status === "CLOSED" ? row.work_to : now) ?? null;
  const unknown = { space, from: null, to: null, commits: null, standing, loose: undefined };
  if (begun === null || head === null || backend.since === undefined) return shared ? undefined : unknown;
  const loose = await (await looseness()).findLoose(world, db, space, shared ? { since } : { end: head });
  if (include && loose.tip === null && loose.commits.length > 0) throw includeUnclear(row, space, loose);
  const to = include ? (loose.tip ?? head) : head;
  const from = include && !shared && loose.commits.length > 0 ? loose.target : begun;
  const nothing: Since = { base: null, commits: [] };
  const { base, commits } = await backend.since(world, space, from, to).catch(insteadOfFault(nothing));
  if (base === null && !shared) return unknown;
  const last = newestEnd(commits, await workOfOthers(db, row, space));
  const made = since === undefined ? undefined : await backend.made?.(space, since);
  const own = (last < 0 ? commits : commits.slice(0, last)).filter((sha) => made?.has(sha) ?? true);
  return {
    space,
    from: own.length === 0 ? to : (commits[last] ?? base),
    to,
    commits: own.length,
    // Uncommitted files of a shared checkout may be anybody's.
    standing: shared && standing ? { ...standing, dirty: 0, underway: null } : standing,
    loose: include ? { ...loose, commits: [] } : loose,
  };
}

async function standingOf(
  world: VcsWorld,
  db: Reader,
  { space, backend }: { space: Workplace; backend: VcsBackend },
  compareWithTarget: boolean,
): Promise<Standing | undefined> {
  // Loaded only when needed, to keep claims fast.
  const { targetOf } = compareWithTarget ? await import("../workspaces/target.js") : {};
  const target = (await targetOf?.(world, db, space)) ?? null;
  const [standing] = await backend.standings(world, space.root, [space.path], target);
  return standing;
}

/**
 * The checkout that the task was claimed in, and since when: others use it too, and landings and pulls bring commits as
 * well, so only what it has made since then counts.
 */
async function sharedPlace(
  db: Reader,
  row: TaskRow,
  space: Workplace,
): Promise<{ space: Workplace; since: string } | undefined> {
  const { work_from: begun, work_root: root } = row;
  if (begun === null || row.work_agent !== space.agent || root === null || row.status === "CLOSED") return undefined;
  const place = space.root === root ? space : { ...space, root, path: root };
  const since = await claimedAt(db, row);
  return (await hadWorkspace(db, place, since)) ? undefined : { space: place, since };
}

function includeUnclear({ name }: TaskRow, { path }: Workplace, { commits }: Loose): Fault {
  const [newest] = commits;
  return new Fault(
    "conflict",
    "task.include_unclear",
    `No commit in ${quote(path)} has all commits that ${name} could take in. Merge them first.`,
    [{ intent: "Merge the newest one", command: `git -C ${shellWord(path)} merge ${newest?.sha.slice(0, 10)}` }],
    { commits },
  );
}

/** Starting commits of OPEN tasks that the agent had before; only that of `task` if it is given. */
async function earlierStarts(
  db: Reader,
  { workstream, agent, root }: Workplace,
  task: string | undefined,
): Promise<string[]> {
  let query = db
    .selectFrom("tasks")
    .select("work_from")
    .distinct()
    .where("workstream_id", "=", (e) => e.selectFrom("workstreams").select("id").where("name", "=", workstream))
    .where("work_agent", "=", agent)
    .where("work_root", "=", root)
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
async function workOfOthers(db: Reader, row: TaskRow, space: Workplace) {
  let query = db
    .selectFrom("tasks")
    .select(["work_from", "work_to"])
    .where("workstream_id", "=", row.workstream_id)
    .where("work_root", "=", space.root)
    .where("work_to", "is not", null)
    .where("status", "=", "CLOSED")
    .where("id", "<>", row.id);
  if (!space.shared) query = query.where("work_agent", "=", space.agent);
  const rows = await query.execute();
  return rows.flatMap(({ work_from: from, work_to: to }) => (to === null ? [] : [{ from, to }]));
}

/** Commits of a task that a landing or a review returned. */
export interface EarlierWork {
  /** In whose workspace they are. */
  agent: string;
  /** The last of them. */
  commit: string;
}

/** The work that was returned last, or reverted; undefined if the task has landed since. */
export async function earlierWork(db: Reader, row: TaskRow): Promise<EarlierWork | undefined> {
  const last = await db
    .selectFrom("events")
    .select(["op", "payload"])
    .where("scope", "=", row.workstream)
    .where("op", "in", ["land", "land.refuse", "land.revert", "review.return"])
    .where("subject", "=", qualifiedName(row))
    .orderBy("n", "desc")
    .limit(1)
    .executeTakeFirst();
  if (last === undefined || last.op === "land") return undefined;
  const { agent, commit } = JSON.parse(last.payload) as Partial<EarlierWork>;
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
export async function subjectOfWorkspace(world: VcsWorld, space: Workplace): Promise<Subject> {
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
