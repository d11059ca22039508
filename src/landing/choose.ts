import type { Reader } from "../db/schema.js";
import { Fault } from "../errors.js";
import { groupBy } from "../groups.js";
import { enumerate, qualifiedName } from "../names.js";
import type { ProjectSettings } from "../project/settings.js";
import { shape, type TypeOf } from "../shape.js";
import { isApproved } from "../tasks/approved.js";
import { selectTasks, type TaskRow, taskRow } from "../tasks/task.js";
import type { CommitRange } from "../vcs/vcs.js";
import { workstreamRow } from "../workstreams/workstream.js";

/** Which tasks to land: `tasks`, those of an `unfinished` landing, or all finished ones (of one agent). */
export interface Choice {
  workstream: string;
  tasks?: readonly string[] | undefined;
  unfinished?: boolean | undefined;
  agent?: string | undefined;
  /** What the caller says about these tasks instead of landing their commits. */
  said?: Said | undefined;
}

/** Nothing of a task needs to land, or a commit of the branch has it already. */
export type Said = "empty" | { as: string };

/** A task that can land; without `work` it has no commits to bring. */
export interface Candidate {
  row: TaskRow;
  root: string | null;
  work: CommitRange | null;
  said?: Said | undefined;
}

/** Why a chosen task does not land. */
export const SKIPPED = shape({ task: "string", why: "string", reason: "string" });

/** Why work is skipped that a review must approve first. */
export const NOT_APPROVED = "not_approved";

export type Skipped = TypeOf<typeof SKIPPED>;

export interface Chosen {
  /** In the order in which they land. */
  candidates: Candidate[];
  /** The edges into the chosen tasks. */
  edges: Link[];
  skipped: Skipped[];
  /** Finished tasks without commits: those do not land by themselves. */
  empty: TaskRow[];
}

/**
 * The tasks that can land, in order, and why others cannot; a named task that cannot is a fault. Faults
 * `landing.not_closed`, `landing.needs_first`, `landing.has_commits`, `task.not_found`, `workstream.not_found`.
 */
export async function chooseTasks(
  db: Reader,
  choice: Choice,
  landRequires: ProjectSettings["landRequires"] = "nothing",
): Promise<Chosen> {
  const rows = await chosenRows(db, choice);
  const ids = rows.map((row) => row.id);
  const edges = await blockersAmong(db, ids);
  const copies = await tasksOfCopies(db, rows);
  const skipped: Skipped[] = [];
  const empty: TaskRow[] = [];
  const skip = (row: TaskRow, why: Skipped["why"], reason: string) =>
    void skipped.push({ task: row.name, why, reason });

  const chosen = new Map<number, Candidate>();
  for (const row of landingOrder(rows, edges)) {
    if (row.level === "landed") {
      skip(row, "landed", "has already landed");
      continue;
    }
    if (copies.has(row.id)) {
      skip(row, "no_vcs", "was done in a copy without version control, so it has no commits to land");
      continue;
    }
    const candidate = candidateOf(row);
    if (choice.said !== undefined) {
      if (choice.said === "empty" && candidate.work !== null) throw hasCommits(row);
      chosen.set(row.id, { ...candidate, work: null });
      continue;
    }
    if (row.work_root !== null && (row.work_from === null || row.work_to === null)) {
      skip(row, "unknown_work", "was closed without its workspace, so mu does not know its commits");
      continue;
    }
    if (candidate.work === null) {
      empty.push(row);
      continue;
    }
    if (landRequires === "review" && !isApproved(row)) {
      const again = row.approved_commit === null ? "" : ": its commits changed after the last one";
      skip(row, NOT_APPROVED, `waits for an approval${again}`);
      continue;
    }
    if (row.pull_request?.startsWith("http") && choice.tasks === undefined) {
      skip(row, "pull_request", `has a pull request: ${row.pull_request}`);
      continue;
    }
    const first = edges.filter(
      (edge) => edge.blocked_id === row.id && mustComeFirst(edge, row) && !chosen.has(edge.blocker_id),
    );
    if (first.length > 0) {
      if (choice.tasks !== undefined) throw needsFirst(row, first, choice.tasks);
      skip(row, "needs_first", `waits for ${enumerate(first.map((edge) => edge.name))} to land`);
      continue;
    }
    chosen.set(row.id, candidate);
  }
  return { candidates: [...chosen.values()], edges, skipped, empty };
}

/** Row ids of the tasks whose work is in a copy without version control. */
async function tasksOfCopies(db: Reader, rows: readonly TaskRow[]): Promise<Set<number>> {
  const unknown = rows.filter((row) => row.work_root !== null && row.work_to === null);
  const [first] = unknown;
  if (first === undefined) return new Set();
  const spaces = await db
    .selectFrom("workspaces")
    .select(["agent", "root", "backend"])
    .where("workstream_id", "=", first.workstream_id)
    .orderBy("id")
    .execute();
  const keyOf = (agent: string | null, root: string | null) => JSON.stringify([agent, root]);
  const backends = new Map(spaces.map(({ agent, root, backend }) => [keyOf(agent, root), backend]));
  const isCopied = (row: TaskRow) => backends.get(keyOf(row.work_agent, row.work_root)) === "none";
  return new Set(unknown.filter(isCopied).map((row) => row.id));
}

function candidateOf(row: TaskRow): Candidate {
  const { work_root: root, work_from: from, work_to: to } = row;
  return { row, root, work: root === null || from === null || to === null || from === to ? null : { from, to } };
}

async function chosenRows(db: Reader, choice: Choice): Promise<TaskRow[]> {
  const { workstream, tasks, unfinished } = choice;
  if (tasks !== undefined) return namedTasks(db, workstream, tasks);
  return unfinished ? namedTasks(db, workstream, await unfinishedTasks(db, workstream)) : finishedTasks(db, choice);
}

async function finishedTasks(db: Reader, { workstream, agent }: Choice): Promise<TaskRow[]> {
  const { id } = await workstreamRow(db, workstream);
  let query = selectTasks(db)
    .where("t.workstream_id", "=", id)
    .where("t.status", "=", "CLOSED")
    .where((e) => e.or([e("t.level", "is", null), e("t.level", "<>", "landed")]));
  if (agent !== undefined) {
    query = query.where((e) =>
      e.or([e("t.work_agent", "=", agent), e.and([e("t.work_agent", "is", null), e("o.name", "=", agent)])]),
    );
  }
  return query.execute();
}

async function namedTasks(db: Reader, workstream: string, tasks: readonly string[]): Promise<TaskRow[]> {
  const rows = await Promise.all([...new Set(tasks)].map((name) => taskRow(db, { workstream, name })));
  for (const row of rows) if (row.status !== "CLOSED") throw notClosed(row);
  return rows;
}

function hasCommits({ name, workstream }: TaskRow): Fault {
  return new Fault("conflict", "landing.has_commits", `${name} has commits, so it is not empty.`, [
    { intent: "Land them", command: `mu land ${name} -w ${workstream}` },
    { intent: "Say which commit of the branch has them", command: `mu land ${name} --as <commit> -w ${workstream}` },
  ]);
}

/** The fault for a task that is not CLOSED. */
export function notClosed(row: TaskRow): Fault {
  const name = qualifiedName(row);
  return new Fault(
    "conflict",
    "landing.not_closed",
    `${row.name} is ${row.status}: only finished work lands.`,
    [
      { intent: "Finish it", command: `mu task close ${name}` },
      { intent: "Look at it", command: `mu task show ${name}` },
    ],
    { task: row.name, status: row.status },
  );
}

/** The fault for a task that another process is landing. */
export function alreadyLanding({ name, workstream }: { name: string; workstream: string }, pid: number): Fault {
  return new Fault(
    "conflict",
    "landing.under_way",
    `${name} is being landed by process ${pid}.`,
    [{ intent: "Wait for it", command: `mu task wait ${name} --for landed -w ${workstream}` }],
    { task: name, pid },
  );
}

type Blocker = Awaited<ReturnType<typeof blockersAmong>>[number];

function blockersAmong(db: Reader, ids: readonly number[]) {
  return db
    .selectFrom("task_edges as e")
    .innerJoin("tasks as b", "b.id", "e.blocker_id")
    .select(["e.blocker_id", "e.blocked_id", "b.name", "b.status", "b.level"])
    .select(["b.work_root", "b.work_from", "b.work_to"])
    .where("e.blocked_id", "in", ids.length > 0 ? ids : [-1])
    .orderBy("b.name")
    .execute();
}

/** A finished blocker in the same repository whose work the branch does not have. */
function mustComeFirst(blocker: Blocker, row: TaskRow): boolean {
  if (blocker.status !== "CLOSED" || blocker.level === "landed") return false;
  return blocker.work_root !== null && blocker.work_root === row.work_root && blocker.work_from !== blocker.work_to;
}

function needsFirst(row: TaskRow, blockers: readonly Blocker[], named: readonly string[]): Fault {
  const names = blockers.map((blocker) => blocker.name);
  return new Fault(
    "conflict",
    "landing.needs_first",
    `${row.name} builds on ${enumerate(names)}, whose work has not landed.`,
    [{ intent: "Land them together", command: `mu land ${[...names, ...named].join(" ")} -w ${row.workstream}` }],
    { task: row.name, first: names },
  );
}

/** An edge between tasks. */
export interface Link {
  blocker_id: number;
  blocked_id: number;
}

/** The tasks so that blockers come first, and otherwise those that were closed first. */
export function landingOrder<T extends { id: number; closed_at: string | null }>(
  tasks: readonly T[],
  edges: readonly Link[],
): T[] {
  const closed = (task: T) => task.closed_at ?? "";
  const sorted = [...tasks].sort((a, b) => (closed(a) < closed(b) ? -1 : closed(a) > closed(b) ? 1 : a.id - b.id));
  const left = new Map(sorted.map((task) => [task.id, task]));
  const blockers = groupBy(edges, (edge) => edge.blocked_id);
  const order: T[] = [];
  while (left.size > 0) {
    const isFree = ({ id }: T) => !(blockers.get(id) ?? []).some((edge) => left.has(edge.blocker_id));
    const next = [...left.values()].find(isFree) ?? (left.values().next().value as T);
    left.delete(next.id);
    order.push(next);
  }
  return order;
}

/** Finished tasks that an earlier landing took but did not land, because it was interrupted or refused. */
async function unfinishedTasks(db: Reader, workstream: string): Promise<string[]> {
  const { id } = await workstreamRow(db, workstream);
  const rows = await db
    .selectFrom("landings as l")
    .innerJoin("tasks as t", "t.id", "l.task_id")
    .select("t.name")
    .where("l.workstream_id", "=", id)
    .where("l.state", "in", ["taken", "stacked", "dropped"])
    .where("l.id", "=", (e) =>
      e
        .selectFrom("landings as newest")
        .select((f) => f.fn.max("newest.id").as("id"))
        .whereRef("newest.task_id", "=", "l.task_id"),
    )
    .where("t.status", "=", "CLOSED")
    .where((e) => e.or([e("t.level", "is", null), e("t.level", "<>", "landed")]))
    .orderBy("t.name")
    .execute();
  return rows.map(({ name }) => name);
}
