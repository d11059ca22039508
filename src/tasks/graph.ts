import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { Tx } from "../db/write.js";
import { Fault } from "../errors.js";
import { cycleAmong } from "../journal/rows.js";
import { parseRef, qualifiedName, shellWord, type TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { cycleFault } from "../topology.js";
import { taskVerb, touched, writerOf } from "./change.js";
import { awaitedName, EDGE_LEVELS, type EdgeLevel, isSatisfied, parseAwaited } from "./edge.js";
import { TASK, TASK_STATUSES, type Task, type TaskRow, type TaskStatus, taskRow, toTask } from "./task.js";

/** A task at the other end of an edge. */
export const NEIGHBOUR = shape({
  name: "string",
  status: TASK_STATUSES,
  /** The level that the edge requires of its blocker. */
  until: EDGE_LEVELS,
  /** True if the edge no longer blocks. */
  satisfied: "boolean",
});

export type Neighbour = TypeOf<typeof NEIGHBOUR>;

/** Tasks at the `far` end of the edges whose `near` end is a task. */
const neighbours = (near: "blocked_id" | "blocker_id", far: "blocked_id" | "blocker_id") =>
  statement((db, { task }: { task: number }) =>
    db
      .selectFrom("task_edges as e")
      .innerJoin("tasks as n", "n.id", `e.${far}`)
      .innerJoin("tasks as b", "b.id", "e.blocker_id")
      .select(["n.id", "n.name", "n.status", "e.until", "e.id as edge"])
      .select(["b.status as blocker_status", "b.level as blocker_level"])
      .where(`e.${near}`, "=", task)
      .orderBy("n.name"),
  );

const selectBlockers = neighbours("blocked_id", "blocker_id");
const selectDependents = neighbours("blocker_id", "blocked_id");

/** What the task waits for, by name. Faults `task.not_found`. */
export async function blockersOf(db: Reader, ref: TaskRef): Promise<Neighbour[]> {
  return blockersOfId(db, (await taskRow(db, ref)).id);
}

/** What the task with this row id waits for, by name. */
export async function blockersOfId(db: Reader, id: number): Promise<Neighbour[]> {
  return (await selectBlockers(db, { task: id })).map(toNeighbour);
}

/** The names of what still blocks the task with this row id, as `build` or `build@landed`. */
export async function openBlockers(db: Reader, id: number): Promise<string[]> {
  return (await blockersOfId(db, id)).filter((blocker) => !blocker.satisfied).map(awaitedName);
}

/** What waits for the task, by name. Faults `task.not_found`. */
export async function dependentsOf(db: Reader, ref: TaskRef): Promise<Neighbour[]> {
  return dependentsOfId(db, (await taskRow(db, ref)).id);
}

/** What waits for the task with this row id, by name. */
export async function dependentsOfId(db: Reader, id: number): Promise<Neighbour[]> {
  return (await selectDependents(db, { task: id })).map(toNeighbour);
}

type NeighbourRow = Awaited<ReturnType<typeof selectBlockers>>[number];

function toNeighbour({ name, status, until, blocker_status, blocker_level }: NeighbourRow): Neighbour {
  const satisfied = isSatisfied({ status: blocker_status, level: blocker_level }, until);
  return { name, status: status as TaskStatus, until: until as EdgeLevel, satisfied };
}

const selectDeadEnds = statement((db, { workstream }: { workstream: string }) =>
  db
    .selectFrom("task_edges as e")
    .innerJoin("tasks as b", "b.id", "e.blocker_id")
    .innerJoin("tasks as t", "t.id", "e.blocked_id")
    .innerJoin("workstreams as w", "w.id", "t.workstream_id")
    .select(["t.name as task", "b.name as blocker", "b.status"])
    .where("w.name", "=", workstream)
    .where("b.status", "in", ["REJECTED", "DEFERRED"])
    .where("t.status", "in", ["OPEN", "IN_PROGRESS"])
    .orderBy("t.name")
    .orderBy("b.name"),
);

/** Warnings of those of the live tasks `names` that wait for a task that is REJECTED or DEFERRED. */
export async function deadEndWarnings(db: Reader, workstream: string, names: readonly string[]) {
  const found = (await selectDeadEnds(db, { workstream })).filter(({ task }) => names.includes(task));
  return found.map(({ task, blocker, status }) => ({
    code: "dead_end",
    message: `${task} waits for ${blocker}, which is ${status}: nobody will do it.`,
  }));
}

/** A task and one edge into it. */
export const EDGE_CHANGE = shape({
  task: TASK,
  blocker: "string",
  /** The level that the edge requires; null if the edge was removed. */
  until: [EDGE_LEVELS, null],
  /** False if nothing was written. */
  changed: "boolean",
});

export type EdgeChange = TypeOf<typeof EDGE_CHANGE>;

/**
 * Makes `ref` wait for `blocker`, until that is closed or has the level `until`. An existing edge gets the given level. Faults `task.cross_workstream`, `task.cycle` naming the cycle, `task.not_found`.
 */
export const blockTask = taskVerb("task.block", blockTaskIn, ({ name }) => ({ blocker: name }));

export function blockTaskIn(tx: Tx, ref: TaskRef, blocker: TaskRef, until?: EdgeLevel): Promise<EdgeChange> {
  return changeEdge(tx, ref, blocker, (row, by, known) => setEdge(tx, row, by, known, until));
}

/** Adds the edge, or sets the level that it requires; without `until` a `known` one stays as it is. */
async function setEdge(tx: Tx, row: TaskRow, by: TaskRow, known: KnownEdge | undefined, until: EdgeLevel | undefined) {
  if (known === undefined) {
    await requireAcyclic(tx.db, row, by);
    await insertEdge(tx, by.id, row.id, until);
    return { until: until ?? "closed", changed: true };
  }
  const changed = until !== undefined && until !== known.until;
  if (changed) await tx.patch("task_edges", known.id, { until });
  return { until: until ?? (known.until as EdgeLevel), changed };
}

/** Makes `ref` no longer wait for `blocker`. Faults `task.cross_workstream`, `task.not_found`. */
export const unblockTask = taskVerb("task.unblock", unblockTaskIn, ({ name }) => ({ blocker: name }));

export function unblockTaskIn(tx: Tx, ref: TaskRef, blocker: TaskRef): Promise<EdgeChange> {
  return changeEdge(tx, ref, blocker, async (_row, _by, known) => {
    if (known !== undefined) await tx.remove("task_edges", known.id);
    return { until: null, changed: known !== undefined };
  });
}

const selectEdge = statement((db, { blocked, blocker }: { blocked: number; blocker: number }) =>
  db
    .selectFrom("task_edges")
    .select(["id", "until"])
    .where("blocked_id", "=", blocked)
    .where("blocker_id", "=", blocker),
);

type KnownEdge = { id: number; until: string };
type EdgeWork = (
  row: TaskRow,
  blocker: TaskRow,
  known: KnownEdge | undefined,
) => Promise<Pick<EdgeChange, "until" | "changed">>;

async function changeEdge(tx: Tx, ref: TaskRef, blocker: TaskRef, work: EdgeWork): Promise<EdgeChange> {
  if (blocker.workstream !== ref.workstream) throw crossWorkstream(ref, blocker);
  const row = await taskRow(tx.db, ref);
  const by = await taskRow(tx.db, blocker);
  const [known] = await selectEdge(tx.db, { blocked: row.id, blocker: by.id });
  const outcome = await work(row, by, known);
  const task = outcome.changed ? await touch(tx, row) : toTask(row);
  return { task, blocker: by.name, ...outcome };
}

/** Adds an edge inside a write; the caller checks for cycles. */
export async function insertEdge(
  tx: Tx,
  blockerId: number,
  blockedId: number,
  until: EdgeLevel = "closed",
): Promise<void> {
  await tx.insert("task_edges", { blocker_id: blockerId, blocked_id: blockedId, until });
}

async function touch(tx: Tx, row: TaskRow): Promise<Task> {
  const columns = touched(row, writerOf(tx), tx.now);
  await tx.patch("tasks", row.id, columns, row);
  return toTask({ ...row, ...columns });
}

/** The fault for an edge between workstreams. */
export function crossWorkstream(blocked: TaskRef, blocker: TaskRef): Fault {
  return new Fault(
    "usage",
    "task.cross_workstream",
    `${qualifiedName(blocker)} cannot block ${qualifiedName(blocked)}: edges cannot cross workstreams.`,
    [
      {
        intent: "Move it here",
        command: `mu task move ${shellWord(blocker.name)} --to ${shellWord(blocked.workstream)} -w ${shellWord(blocker.workstream)}`,
      },
    ],
  );
}

/** A blocker's reference from text, which may name `blocked`'s workstream. Faults `task.cross_workstream`. */
export function blockerRef(blocked: TaskRef, text: string): TaskRef {
  const { workstream = blocked.workstream, name } = parseRef(text);
  if (workstream !== blocked.workstream) throw crossWorkstream(blocked, { workstream, name });
  return { workstream, name };
}

/** A task with its new blockers, as `build` or `build@landed`. */
export const REPARENTING = shape({
  task: TASK,
  blockers: "string[]",
  added: "string[]",
  removed: "string[]",
  changed: "boolean",
});

export type Reparenting = TypeOf<typeof REPARENTING>;

/**
 * Makes `blockers` (`build` or `build@landed`) exactly what `ref` waits for; an edge that is there keeps its level
 * where neither the text nor `until` gives one. Faults `task.cycle`, `task.cross_workstream`, `task.not_found`,
 * `task.invalid_level`; then nothing is changed.
 */
export const reparentTask = taskVerb("task.reparent", reparentTaskIn, (blockers) => ({ blockers }));

export async function reparentTaskIn(
  tx: Tx,
  ref: TaskRef,
  blockers: readonly string[],
  until?: EdgeLevel,
): Promise<Reparenting> {
  const row = await taskRow(tx.db, ref);
  const wanted = await blockerRows(tx.db, ref, blockers, until);
  const present = new Map((await selectBlockers(tx.db, { task: row.id })).map((edge) => [edge.id, edge]));
  const gone = [...present.values()].filter((blocker) => !wanted.has(blocker.id));

  for (const blocker of gone) await tx.remove("task_edges", blocker.edge);
  const edges: { name: string; isNew: boolean; until: EdgeLevel; changed: boolean }[] = [];
  for (const blocker of wanted.values()) {
    const known = present.get(blocker.id);
    const edge = await setEdge(tx, row, blocker, known && { id: known.edge, until: known.until }, blocker.until);
    edges.push({ name: blocker.name, isNew: known === undefined, ...edge });
  }
  const changed = gone.length > 0 || edges.some((edge) => edge.changed);
  return {
    task: changed ? await touch(tx, row) : toTask(row),
    blockers: edges.map(awaitedName).sort(),
    added: edges.filter((edge) => edge.isNew).map((edge) => edge.name),
    removed: gone.map((blocker) => blocker.name),
    changed,
  };
}

/** A wanted blocker, and the level that its edge requires. */
export type WantedBlocker = TaskRow & { until: EdgeLevel | undefined };

/**
 * The rows of blockers (`build` or `build@landed`) by id, each once; `until` is the level of those that name none.
 * Faults `task.not_found`, `task.cross_workstream`, `task.invalid_level`.
 */
export async function blockerRows(
  db: Reader,
  blocked: TaskRef,
  texts: readonly string[],
  until?: EdgeLevel,
): Promise<Map<number, WantedBlocker>> {
  const rows = new Map<number, WantedBlocker>();
  for (const text of texts) {
    const wanted = parseAwaited(text, until);
    const row = await taskRow(db, blockerRef(blocked, wanted.task));
    rows.set(row.id, { ...row, until: wanted.until });
  }
  return rows;
}

interface Ends {
  blocked: number;
  blocker: number;
}

/** Everything above the blocker; nothing if `blocked` blocks no task, because then no cycle can pass through it. */
const upward = (db: Reader, { blocked, blocker }: Ends) =>
  db.withRecursive("up", (query) =>
    query
      .selectFrom("tasks")
      .select("tasks.id")
      .where("tasks.id", "=", blocker)
      .where((e) => e.exists(e.selectFrom("task_edges").select("id").where("blocker_id", "=", blocked)))
      .union(query.selectFrom("up").innerJoin("task_edges as e", "e.blocked_id", "up.id").select("e.blocker_id as id")),
  );

const selectCycle = statement((db, ends: Ends) =>
  upward(db, ends).selectFrom("up").select("up.id").where("up.id", "=", ends.blocked).limit(1),
);

const selectEdgesUpward = statement((db, ends: Ends) =>
  upward(db, ends)
    .selectFrom("up")
    .innerJoin("task_edges as e", "e.blocked_id", "up.id")
    .select(["e.blocked_id as blocked", "e.blocker_id as blocker"]),
);

/**
 * Refuses the edge that would let `blocked` wait for itself. One query that walks the graph upward; only a
 * cycle costs more, to be named. Faults `task.cycle` with the `path` from `blocked` to itself.
 */
async function requireAcyclic(db: Reader, blocked: TaskRow, blocker: TaskRow): Promise<void> {
  const nextSteps = [
    { intent: "See what it waits for", command: `mu task tree ${blocked.name} -w ${blocked.workstream}` },
  ];
  if (blocked.id === blocker.id) throw cycleFault([blocked.name, blocked.name], nextSteps);
  const ends = { blocked: blocked.id, blocker: blocker.id };
  if ((await selectCycle(db, ends)).length === 0) return;
  throw await cycleAmong(db, "tasks", [ends, ...(await selectEdgesUpward(db, ends))], nextSteps, blocked.id);
}
