import type { Context } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { rowsByIds } from "../db/statement.js";
import { type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import { didYouMean, quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { cycleFault, findCycle } from "../topology.js";
import { ensureWorkstream, workstreamRow } from "../workstreams/workstream.js";
import { touched, writerOf } from "./change.js";
import { type EdgeLevel, parseAwaited } from "./edge.js";
import { cleanText, newTaskRow } from "./fields.js";
import { blockerRef } from "./graph.js";
import { lineageIn } from "./lineage.js";
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
  SEE_PLAN,
} from "./planned-tasks.js";
import { selectTasks, type TaskRow } from "./task.js";

export interface ApplyOptions {
  /** Creates the workstream if it is missing. */
  init?: { root?: string };
  /** Describes the place of a value in its document; without it a path, `tasks[17].blockedBy[0]`. */
  place?: Place;
}

/** What a plan changed; `tasks` are in the order of the plan. */
export const APPLICATION = shape({
  created: "number",
  updated: "number",
  unchanged: "number",
  edgesAdded: "number",
  notesAdded: "number",
  tasks: [{ name: "string", change: ["created", "updated", "unchanged"] }],
});

export type Application = TypeOf<typeof APPLICATION>;
export type PlanChange = Application["tasks"][number]["change"];

/**
 * Applies a plan to a workstream in one write. Tasks are matched by name and get the given fields, or are
 * created; edges and notes are only added and no status is set, so applying a plan twice changes nothing the second
 * time. Any fault changes nothing and names the place: `plan.invalid`, `plan.duplicate_name`, `task.invalid_name`,
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
  if (Object.values(counts).some((count) => count > 0)) tx.addPayload(counts);
  return application;
}

/** A plan compared with the workstream. Nodes are the plan's tasks by index, then the workstream's other tasks. */
interface Draft {
  workstreamId: number;
  tasks: readonly PlannedTask[];
  /** Row ids of the nodes; -1 for a task that does not exist yet. */
  ids: number[];
  /** Rows of the plan's tasks that exist, by index. */
  rows: Map<number, TaskRow>;
  /** Edges to add. */
  edges: readonly PlannedEdge[];
  /** Existing edges that get another level, by row id. */
  altered: ReadonlyMap<number, PlannedEdge & { until: EdgeLevel }>;
  /** `[row id, text]` of the notes that exist, as JSON. */
  notes: Set<string>;
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
  const present = [...tasks.keys()].filter((index) => isThere(ids, index));
  const idsOf = (indexes: readonly number[]) => indexes.map((index) => ids[index] as number);
  const wanted = plannedEdges(tasks, workstream.name, nodes, place);
  // Only an edge into an existing task can exist already, or close a cycle with existing edges.
  const isGraphNeeded = wanted.some((edge) => isThere(ids, edge.blocked));
  const existing = isGraphNeeded ? await existingEdges(db, workstream.id, ids) : new Map<number, ExistingEdge>();
  const found = (edge: Ends) => existing.get(keyOf(edge, ids.length));
  const edges = existing.size === 0 ? wanted : wanted.filter((edge) => found(edge) === undefined);
  requireAcyclicPlan(names, existing.values(), edges, place);
  const altered: Draft["altered"] = new Map(
    wanted.flatMap(({ until, ...edge }) => {
      const row = found(edge);
      return row === undefined || until === undefined || until === row.until ? [] : [[row.id, { ...edge, until }]];
    }),
  );
  const rows = await rowsByIds(idsOf(present), (portion) => selectTasks(db).where("t.id", "in", portion).execute());
  const noted = present.filter((index) => (tasks[index]?.notes.length ?? 0) > 0);
  const notes = await rowsByIds(idsOf(noted), (portion) =>
    db.selectFrom("task_notes").select(["task_id", "text"]).where("task_id", "in", portion).execute(),
  );
  return {
    workstreamId: workstream.id,
    tasks,
    ids,
    rows: new Map(rows.map((row) => [nodes.get(row.name) as number, row])),
    edges,
    altered,
    notes: new Set(notes.map((note) => JSON.stringify([note.task_id, note.text]))),
  };
}

function isThere(ids: readonly number[], node: number): boolean {
  return (ids[node] ?? -1) >= 0;
}

/** An edge between nodes. */
interface Ends {
  blocker: number;
  blocked: number;
}

type ExistingEdge = Ends & { id: number; until: string };

const keyOf = ({ blocker, blocked }: Ends, size: number) => blocked * size + blocker;

/** The edges of the workstream by key. */
async function existingEdges(db: Reader, workstreamId: number, ids: readonly number[]) {
  const rows = await db
    .selectFrom("tasks as d")
    .innerJoin("task_edges as e", "e.blocked_id", "d.id")
    .select(["e.blocker_id", "e.blocked_id", "e.id", "e.until"])
    .where("d.workstream_id", "=", workstreamId)
    .execute();
  const nodeOf = new Map(ids.map((id, node) => [id, node]));
  const edges = new Map<number, ExistingEdge>();
  for (const { id, until, blocker_id, blocked_id } of rows) {
    const edge = { id, until, blocker: nodeOf.get(blocker_id) ?? 0, blocked: nodeOf.get(blocked_id) ?? 0 };
    edges.set(keyOf(edge, ids.length), edge);
  }
  return edges;
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
  for (const [id, { until }] of draft.altered) await tx.patch("task_edges", id, { until });
  const grown = new Set([...draft.edges, ...draft.altered.values()].map((edge) => edge.blocked));
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
  const lineage = missing.length === 0 ? {} : await lineageIn(tx, missing.length);
  const rows = missing.map((index) => ({
    ...blank,
    ...lineage,
    name: draft.tasks[index]?.name ?? "",
    ...draft.tasks[index]?.columns,
  }));
  for (const [order, id] of (await tx.insertAll("tasks", rows)).entries()) draft.ids[missing[order] ?? -1] = id;
}

async function addMissingNotes(tx: Tx, draft: Draft, grown: Set<number>, place: Place): Promise<number> {
  let added = 0;
  for (const [index, task] of draft.tasks.entries()) {
    const id = draft.ids[index] ?? -1;
    for (const [number, note] of task.notes.entries()) {
      const path = ["tasks", index, "notes", number];
      try {
        const text = cleanText("text", note.text);
        const known = JSON.stringify([id, text]);
        if (draft.notes.has(known)) continue;
        draft.notes.add(known);
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
  await tx.patch("tasks", row.id, { ...task.columns, ...touched(row, writerOf(tx), tx.now) }, row);
  return "updated";
}

/** An edge that a plan asks for. */
interface PlannedEdge extends Ends {
  /** Undefined if the plan names no level. */
  until: EdgeLevel | undefined;
  /** Index in the `blockedBy` of the blocked task. */
  index: number;
}

/**
 * The edges of a plan, each once. `nodes` knows the names of the plan and of the workstream. Faults
 * `task.not_found`, `task.cross_workstream`, `task.invalid_level`, with the place.
 */
function plannedEdges(
  tasks: readonly PlannedTask[],
  workstream: string,
  nodes: ReadonlyMap<string, number>,
  place: Place,
): PlannedEdge[] {
  const edges: PlannedEdge[] = [];
  for (const [blocked, task] of tasks.entries()) {
    const seen = new Set<number>();
    for (const [index, written] of task.blockedBy.entries()) {
      const path = pathOf(blocked, index);
      const { task: text, until } = atPlace(place, path, () => parseAwaited(written));
      const ref = () => atPlace(place, path, () => blockerRef({ workstream, name: task.name }, text));
      const blocker = nodes.get(text) ?? nodes.get(ref().name);
      if (blocker === undefined) throw unknownTask(text, workstream, nodes, place(path));
      if (seen.has(blocker)) continue;
      seen.add(blocker);
      edges.push({ blocker, blocked, until, index });
    }
  }
  return edges;
}

function pathOf(task: number, index: number): PlanPath {
  return ["tasks", task, "blockedBy", index];
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

/**
 * Refuses a plan whose `fresh` edges close a cycle, alone or with `existing` edges. Faults `task.cycle` at the first
 * edge of the plan in the cycle, with the cycle as `path`.
 */
function requireAcyclicPlan(
  names: readonly string[],
  existing: Iterable<Ends>,
  fresh: readonly PlannedEdge[],
  place: Place,
): void {
  const edges: Ends[] = [...existing, ...fresh];
  const [blockers, blocked] = [edges.map((edge) => edge.blocker), edges.map((edge) => edge.blocked)];
  const found = findCycle(names.length, blockers, blocked);
  if (found === undefined) return;
  const nextOf = new Map(found.map((node, index) => [node, found[(index + 1) % found.length]]));
  const closing = fresh.find((edge) => nextOf.get(edge.blocked) === edge.blocker);
  const start = closing === undefined ? 0 : found.indexOf(closing.blocked);
  const path = [...found.slice(start), ...found.slice(0, start + 1)].map((node) => names[node] ?? "?");
  const where = closing === undefined ? "" : place(pathOf(closing.blocked, closing.index));
  throw cycleFault(path, SEE_PLAN, where);
}
