import type { Context } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import { didYouMean, quote, type TaskRef } from "../names.js";
import { cycleFault, findCycle } from "../topology.js";
import { ensureWorkstream, workstreamRow } from "../workstreams/workstream.js";
import { touched } from "./change.js";
import { type EdgeLevel, parseAwaited } from "./edge.js";
import { cleanText, newTaskRow } from "./fields.js";
import { blockerRef } from "./graph.js";
import { insertNote } from "./notes.js";
import {
  atPlace,
  type Place,
  type Plan,
  type PlannedTask,
  type PlanPath,
  pathPlace,
  placed,
  plannedTasks,
} from "./planned-tasks.js";
import { selectTasks, type TaskRow } from "./task.js";

export interface ApplyOptions {
  /** Makes the workstream when it is missing. */
  init?: { root?: string };
  /** Says where in its document a part of the plan is; without it a path, `tasks[17].blockedBy[0]`. */
  place?: Place;
}

export type PlanChange = "created" | "updated" | "unchanged";

/** What a plan came to. */
export interface Application {
  created: number;
  updated: number;
  unchanged: number;
  edgesAdded: number;
  notesAdded: number;
  /** In the order of the plan. */
  tasks: { name: string; change: PlanChange }[];
}

/**
 * Brings a plan into a workstream in one write. A task of that name gets the fields that are given, else it is
 * made; edges and notes are only added, a status is never set: the same plan twice changes nothing the second time.
 * Any fault changes nothing and says where: `plan.invalid`, `plan.duplicate_name`, `task.invalid_name`,
 * `task.invalid_field`, `task.invalid_note`, `task.not_found`, `task.cross_workstream`, `task.cycle`, `task.invalid_level`,
 * `workstream.not_found`, `workstream.invalid_name`.
 */
export async function applyPlan(
  context: Context,
  workstream: string,
  plan: Plan,
  options: ApplyOptions = {},
): Promise<Application> {
  const place = options.place ?? pathPlace;
  const tasks = plannedTasks(plan, place);
  const spec = { op: "task.apply", scope: workstream, subject: workstream };
  return write(context, spec, (tx) => applyPlanIn(tx, workstream, tasks, { ...options, place }));
}

/** As `applyPlan`; the tasks come from `plannedTasks`. */
export async function applyPlanIn(
  tx: Tx,
  workstream: string,
  tasks: readonly PlannedTask[],
  { init, place = pathPlace }: ApplyOptions = {},
): Promise<Application> {
  const { id } = init ? await ensureWorkstream(tx, workstream, init) : await workstreamRow(tx.db, workstream);
  const draft = await draftOf(tx.db, { id, name: workstream }, tasks, place);
  const application = await carryOut(tx, draft, place);
  const { tasks: _, unchanged: __, ...counts } = application;
  if (Object.values(counts).some((count) => count > 0)) tx.tell(counts);
  return application;
}

/** A plan beside what is there. Nodes are the plan's tasks by index, then the workstream's other tasks. */
interface Draft {
  workstreamId: number;
  tasks: readonly PlannedTask[];
  /** Row ids of the nodes; -1 for a task that is still to be made. */
  ids: number[];
  /** Rows of the plan's tasks that are there already, by index. */
  rows: Map<number, TaskRow>;
  /** Edges to add. */
  edges: readonly PlannedEdge[];
  /** Edges that are there and are to ask for another level, with their row ids. */
  altered: readonly (PlannedEdge & { id: number })[];
  /** Texts of the notes that are there already, by row id. */
  notes: Map<number, Set<string>>;
}

async function draftOf(
  db: Reader,
  workstream: { id: number; name: string },
  tasks: readonly PlannedTask[],
  place: Place,
): Promise<Draft> {
  const known = await db
    .selectFrom("tasks")
    .select(["id", "name"])
    .where("workstream_id", "=", workstream.id)
    .execute();
  const nodes = new Map(tasks.map((task, index) => [task.name, index]));
  const names = tasks.map((task) => task.name);
  const ids: number[] = tasks.map(() => -1);
  for (const { id, name } of known) {
    const node = nodes.get(name) ?? names.length;
    if (node === names.length) names.push(name);
    nodes.set(name, node);
    ids[node] = id;
  }
  const present = tasks.flatMap((_, index) => (isThere(ids, index) ? [index] : []));
  const wanted = plannedEdges(tasks, workstream.name, nodes, place);
  // An edge can only be there already, or close a loop through what is there, when a task that is there gets one.
  const there = wanted.some((edge) => isThere(ids, edge.blocked)) ? await edgesThere(db, workstream.id, ids) : NO_EDGES;
  const { edges, altered } = comparedEdges(wanted, there);
  requireAcyclicPlan(names, there, edges, place);
  return {
    workstreamId: workstream.id,
    tasks,
    ids,
    rows: await rowsOf(db, ids, present),
    edges,
    altered,
    notes: await notesOf(
      db,
      ids,
      present.filter((index) => (tasks[index]?.notes.length ?? 0) > 0),
    ),
  };
}

function isThere(ids: readonly number[], node: number): boolean {
  return (ids[node] ?? -1) >= 0;
}

/** Edges of the workstream, their ends as nodes. */
interface EdgesThere extends EdgeEnds {
  rows: readonly { id: number; until: string }[];
}

const NO_EDGES: EdgesThere = { blockers: [], blocked: [], rows: [] };

async function edgesThere(db: Reader, workstreamId: number, ids: readonly number[]): Promise<EdgesThere> {
  const rows = await db
    .selectFrom("tasks as d")
    .innerJoin("task_edges as e", "e.blocked_id", "d.id")
    .select(["e.blocker_id", "e.blocked_id", "e.id", "e.until"])
    .where("d.workstream_id", "=", workstreamId)
    .execute();
  const nodeOf = new Map(ids.map((id, node) => [id, node]));
  return {
    blockers: rows.map((row) => nodeOf.get(row.blocker_id) ?? 0),
    blocked: rows.map((row) => nodeOf.get(row.blocked_id) ?? 0),
    rows,
  };
}

/** Which of the wanted edges are missing, and which are there with another level than the plan gives. */
function comparedEdges(wanted: readonly PlannedEdge[], there: EdgesThere): Pick<Draft, "edges" | "altered"> {
  if (there.blocked.length === 0) return { edges: wanted, altered: [] };
  const blockersOf = new Map<number, Map<number, { id: number; until: string }>>();
  for (const [edge, row] of there.rows.entries()) {
    const node = there.blocked[edge] ?? 0;
    const blockers = blockersOf.get(node) ?? new Map();
    blockers.set(there.blockers[edge] ?? 0, row);
    blockersOf.set(node, blockers);
  }
  const rowOf = (edge: PlannedEdge) => blockersOf.get(edge.blocked)?.get(edge.blocker);
  return {
    edges: wanted.filter((edge) => rowOf(edge) === undefined),
    altered: wanted.flatMap((edge) => {
      const row = rowOf(edge);
      return row === undefined || edge.until === undefined || edge.until === row.until ? [] : [{ ...edge, id: row.id }];
    }),
  };
}

/** So many ids go into one query; the least that a dialect allows is far above it. */
const IDS_PER_QUERY = 500;

async function rowsOf(db: Reader, ids: readonly number[], present: readonly number[]): Promise<Map<number, TaskRow>> {
  const indexOf = new Map(present.map((index) => [ids[index] ?? -1, index]));
  const rows = new Map<number, TaskRow>();
  for (const portion of portions([...indexOf.keys()])) {
    for (const row of await selectTasks(db).where("t.id", "in", portion).execute()) {
      rows.set(indexOf.get(row.id) ?? -1, row);
    }
  }
  return rows;
}

async function notesOf(
  db: Reader,
  ids: readonly number[],
  indexes: readonly number[],
): Promise<Map<number, Set<string>>> {
  const notes = new Map(indexes.map((index) => [ids[index] ?? -1, new Set<string>()]));
  for (const portion of portions([...notes.keys()])) {
    const rows = await db
      .selectFrom("task_notes")
      .select(["task_id", "text"])
      .where("task_id", "in", portion)
      .execute();
    for (const row of rows) notes.get(row.task_id)?.add(row.text);
  }
  return notes;
}

function* portions(ids: readonly number[]): Generator<number[]> {
  for (let from = 0; from < ids.length; from += IDS_PER_QUERY) yield ids.slice(from, from + IDS_PER_QUERY);
}

async function carryOut(tx: Tx, draft: Draft, place: Place): Promise<Application> {
  await insertTasks(tx, draft);
  await tx.insertAll(
    "task_edges",
    draft.edges.map((edge) => ({
      blocker_id: draft.ids[edge.blocker] ?? -1,
      blocked_id: draft.ids[edge.blocked] ?? -1,
      until: edge.until ?? "closed",
    })),
  );
  for (const { id, until } of draft.altered) if (until !== undefined) await tx.patch("task_edges", id, { until });
  const grown = new Set([...draft.edges, ...draft.altered].map((edge) => edge.blocked));
  const notesAdded = await addMissingNotes(tx, draft, grown, place);
  const changes: Application["tasks"] = [];
  for (const [index, task] of draft.tasks.entries()) {
    const row = draft.rows.get(index);
    const change = row === undefined ? "created" : await update(tx, row, task, grown.has(index));
    changes.push({ name: task.name, change });
  }
  const count = (change: PlanChange) => changes.filter((task) => task.change === change).length;
  return {
    created: count("created"),
    updated: count("updated"),
    unchanged: count("unchanged"),
    edgesAdded: draft.edges.length,
    notesAdded,
    tasks: changes,
  };
}

async function insertTasks(tx: Tx, draft: Draft): Promise<void> {
  const blank = newTaskRow(draft.workstreamId, "", { title: "-" }, tx.now);
  const missing = [...draft.tasks.keys()].filter((index) => !isThere(draft.ids, index));
  const rows = missing.map((index) => ({
    ...blank,
    name: draft.tasks[index]?.name ?? "",
    ...draft.tasks[index]?.columns,
  }));
  for (const [order, id] of (await tx.insertAll("tasks", rows)).entries()) draft.ids[missing[order] ?? -1] = id;
}

async function addMissingNotes(tx: Tx, draft: Draft, grown: Set<number>, place: Place): Promise<number> {
  let added = 0;
  for (const [index, task] of draft.tasks.entries()) {
    const id = draft.ids[index] ?? -1;
    const texts = draft.notes.get(id) ?? new Set();
    for (const [number, note] of task.notes.entries()) {
      const path = ["tasks", index, "notes", number];
      try {
        const text = cleanText("text", note.text);
        if (texts.has(text)) continue;
        texts.add(text);
        await insertNote(tx, id, tx.actor, note);
      } catch (error) {
        throw error instanceof Fault ? placed(error, place, path) : error;
      }
      grown.add(index);
      added++;
    }
  }
  return added;
}

async function update(tx: Tx, row: TaskRow, task: PlannedTask, grown: boolean): Promise<PlanChange> {
  const differs = Object.entries(task.columns).some(([column, value]) => row[column as keyof TaskRow] !== value);
  if (!differs && !grown) return "unchanged";
  await tx.patch("tasks", row.id, { ...task.columns, ...touched(row, tx.actor, tx.now) }, row);
  return "updated";
}

/** An edge that a plan asks for, between nodes: the plan's tasks by their index, then the workstream's others. */
export interface PlannedEdge {
  blocker: number;
  blocked: number;
  /** What it is to ask of its blocker, where the plan says so. */
  until: EdgeLevel | undefined;
  /** Index in the `blockedBy` of the blocked task. */
  index: number;
}

/**
 * The edges of a plan, each once. `nodes` knows the names of the plan and of the workstream. Faults
 * `task.not_found`, `task.cross_workstream`, `task.invalid_level`, with the place.
 */
export function plannedEdges(
  tasks: readonly PlannedTask[],
  workstream: string,
  nodes: ReadonlyMap<string, number>,
  place: Place,
): PlannedEdge[] {
  const edges: PlannedEdge[] = [];
  for (const [blocked, task] of tasks.entries()) {
    const seen = new Set<number>();
    for (const [index, written] of task.blockedBy.entries()) {
      const { task: text, until } = atPlace(place, pathOf([blocked, index]), () => parseAwaited(written));
      const blocker =
        nodes.get(text) ?? nodes.get(nameIn({ workstream, name: task.name }, text, place, [blocked, index]));
      if (blocker === undefined) throw unknownTask(text, workstream, nodes, place(pathOf([blocked, index])));
      if (seen.has(blocker)) continue;
      seen.add(blocker);
      edges.push({ blocker, blocked, until, index });
    }
  }
  return edges;
}

type EdgeAt = [task: number, index: number];

function pathOf([task, index]: EdgeAt): PlanPath {
  return ["tasks", task, "blockedBy", index];
}

function nameIn(blocked: TaskRef, text: string, place: Place, at: EdgeAt): string {
  return atPlace(place, pathOf(at), () => blockerRef(blocked, text)).name;
}

function unknownTask(name: string, workstream: string, nodes: ReadonlyMap<string, number>, place: string): Fault {
  return new Fault(
    "missing",
    "task.not_found",
    `${place}: unknown task ${quote(name)} in the plan and in ${workstream}.${didYouMean(name, nodes.keys())}`,
    [{ intent: "See the tasks", command: `mu task list -w ${workstream}` }],
    { place },
  );
}

/** Two arrays of edge ends, for graphs of any size. */
export interface EdgeEnds {
  blockers: readonly number[];
  blocked: readonly number[];
}

/**
 * Refuses a plan whose `fresh` edges close a cycle, alone or with edges that are `there`. Faults `task.cycle`
 * at the first edge of the plan in the cycle, with the cycle as `path`.
 */
export function requireAcyclicPlan(
  names: readonly string[],
  there: EdgeEnds,
  fresh: readonly PlannedEdge[],
  place: Place,
): void {
  const blockers = [...there.blockers, ...fresh.map((edge) => edge.blocker)];
  const found = findCycle(names.length, blockers, [...there.blocked, ...fresh.map((edge) => edge.blocked)]);
  if (found === undefined) return;
  const nextOf = new Map(found.map((node, index) => [node, found[(index + 1) % found.length]]));
  const closing = fresh.find((edge) => nextOf.get(edge.blocked) === edge.blocker);
  const start = closing === undefined ? 0 : found.indexOf(closing.blocked);
  const path = [...found.slice(start), ...found.slice(0, start + 1)].map((node) => names[node] ?? "?");
  const where = closing === undefined ? "" : place(pathOf([closing.blocked, closing.index]));
  throw cycleFault(path, [{ intent: "See what a plan looks like", command: "mu task apply --help" }], where);
}
