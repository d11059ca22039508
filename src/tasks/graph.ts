import type { Context } from "../context.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import { parseRef, qualifiedName, shellWord, type TaskRef } from "../names.js";
import { requireAcyclic } from "./cycle.js";
import { type Task, type TaskRow, type TaskStatus, taskRow, toTask } from "./task.js";
import { touched } from "./touch.js";

/** A task at the other end of an edge. */
export interface Neighbour {
  name: string;
  status: TaskStatus;
  /** True when the edge blocks no more. */
  satisfied: boolean;
}

const selectBlockers = statement((db, { task }: { task: number }) =>
  db
    .selectFrom("task_edges as e")
    .innerJoin("tasks as b", "b.id", "e.blocker_id")
    .select([
      "b.id",
      "b.name",
      "b.status",
      "b.status as blocker_status",
      "b.level as blocker_level",
      "e.until",
      "e.id as edge",
    ])
    .where("e.blocked_id", "=", task)
    .orderBy("b.name"),
);

const selectDependents = statement((db, { task }: { task: number }) =>
  db
    .selectFrom("task_edges as e")
    .innerJoin("tasks as d", "d.id", "e.blocked_id")
    .innerJoin("tasks as b", "b.id", "e.blocker_id")
    .select([
      "d.id",
      "d.name",
      "d.status",
      "b.status as blocker_status",
      "b.level as blocker_level",
      "e.until",
      "e.id as edge",
    ])
    .where("e.blocker_id", "=", task)
    .orderBy("d.name"),
);

/** What the task waits for, by name. Faults `task.not_found`. */
export async function blockersOf(db: Reader, ref: TaskRef): Promise<Neighbour[]> {
  return blockersOfId(db, (await taskRow(db, ref)).id);
}

/** What the task with this row id waits for, by name. */
export async function blockersOfId(db: Reader, id: number): Promise<Neighbour[]> {
  return (await selectBlockers(db, { task: id })).map(toNeighbour);
}

/** What waits for the task, by name. Faults `task.not_found`. */
export async function dependentsOf(db: Reader, ref: TaskRef): Promise<Neighbour[]> {
  return dependentsOfId(db, (await taskRow(db, ref)).id);
}

/** What waits for the task with this row id, by name. */
export async function dependentsOfId(db: Reader, id: number): Promise<Neighbour[]> {
  return (await selectDependents(db, { task: id })).map(toNeighbour);
}

function toNeighbour(row: {
  name: string;
  status: string;
  blocker_status: string;
  blocker_level: string | null;
  until: string;
}): Neighbour {
  const reached = row.until === "closed" || row.blocker_level === row.until || row.blocker_level === "landed";
  return { name: row.name, status: row.status as TaskStatus, satisfied: row.blocker_status === "CLOSED" && reached };
}

/** A task and one edge into it. */
export interface EdgeChange {
  task: Task;
  blocker: string;
  /** False when it was so already. */
  changed: boolean;
}

/**
 * Lets `ref` wait for `blocker`. Faults `task.cross_workstream`, `task.cycle` naming the loop, `task.not_found`.
 */
export function blockTask(context: Context, ref: TaskRef, blocker: TaskRef): Promise<EdgeChange> {
  return changeEdge(context, "task.block", ref, blocker, async (tx, row, by) => {
    const known = await selectEdge(tx.db, { blocked: row.id, blocker: by.id });
    if (known.length > 0) return false;
    await requireAcyclic(tx.db, row, by);
    await insertEdge(tx, by.id, row.id);
    return true;
  });
}

/** Ends the wait of `ref` for `blocker`. Faults `task.cross_workstream`, `task.not_found`. */
export function unblockTask(context: Context, ref: TaskRef, blocker: TaskRef): Promise<EdgeChange> {
  return changeEdge(context, "task.unblock", ref, blocker, async (tx, row, by) => {
    const [known] = await selectEdge(tx.db, { blocked: row.id, blocker: by.id });
    if (known === undefined) return false;
    await tx.remove("task_edges", known.id);
    return true;
  });
}

const selectEdge = statement((db, { blocked, blocker }: { blocked: number; blocker: number }) =>
  db.selectFrom("task_edges").select("id").where("blocked_id", "=", blocked).where("blocker_id", "=", blocker),
);

type EdgeWork = (tx: Tx, row: TaskRow, blocker: TaskRow) => Promise<boolean>;

function changeEdge(context: Context, op: string, ref: TaskRef, blocker: TaskRef, work: EdgeWork): Promise<EdgeChange> {
  const spec = { op, scope: ref.workstream, subject: qualifiedName(ref), payload: { blocker: blocker.name } };
  return write(context, spec, async (tx) => {
    const row = await taskRow(tx.db, ref);
    if (blocker.workstream !== ref.workstream) throw crossWorkstream(ref, blocker);
    const by = await taskRow(tx.db, blocker);
    if (!(await work(tx, row, by))) return { task: toTask(row), blocker: by.name, changed: false };
    return { task: await touch(tx, context.actor, row), blocker: by.name, changed: true };
  });
}

/** Adds an edge inside a write; that it closes no loop is the caller's to know. */
export async function insertEdge(tx: Tx, blockerId: number, blockedId: number): Promise<void> {
  await tx.insert("task_edges", { blocker_id: blockerId, blocked_id: blockedId, until: "closed" });
}

async function touch(tx: Tx, actor: string, row: TaskRow): Promise<Task> {
  const columns = touched(row, actor, tx.now);
  await tx.patch("tasks", row.id, columns, row);
  return toTask({ ...row, ...columns });
}

/** The fault for an edge between workstreams. */
export function crossWorkstream(blocked: TaskRef, blocker: TaskRef): Fault {
  return new Fault(
    "usage",
    "task.cross_workstream",
    `${qualifiedName(blocker)} cannot block ${qualifiedName(blocked)}: edges stay inside a workstream.`,
    [
      {
        intent: "Bring them together",
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

/** A task with its new set of blockers. */
export interface Reparenting {
  task: Task;
  blockers: string[];
  added: string[];
  removed: string[];
  changed: boolean;
}

/**
 * Makes `blockers` (names) exactly what `ref` waits for. Faults `task.cycle`, `task.cross_workstream`,
 * `task.not_found`; then nothing is changed.
 */
export function reparentTask(context: Context, ref: TaskRef, blockers: readonly string[]): Promise<Reparenting> {
  const spec = { op: "task.reparent", scope: ref.workstream, subject: qualifiedName(ref), payload: { blockers } };
  return write(context, spec, async (tx) => {
    const row = await taskRow(tx.db, ref);
    const wanted = await blockerRows(tx.db, ref, blockers);
    const present = await selectBlockers(tx.db, { task: row.id });
    const gone = present.filter((blocker) => !wanted.has(blocker.id));
    const fresh = [...wanted.values()].filter((blocker) => !present.some(({ id }) => id === blocker.id));

    for (const blocker of gone) await tx.remove("task_edges", blocker.edge);
    for (const blocker of fresh) {
      await requireAcyclic(tx.db, row, blocker);
      await insertEdge(tx, blocker.id, row.id);
    }
    const changed = gone.length + fresh.length > 0;
    return {
      task: changed ? await touch(tx, context.actor, row) : toTask(row),
      blockers: [...wanted.values()].map((blocker) => blocker.name).sort(),
      added: fresh.map((blocker) => blocker.name),
      removed: gone.map((blocker) => blocker.name),
      changed,
    };
  });
}

/** The rows of blockers by id, each once. Faults `task.not_found`, `task.cross_workstream`. */
export async function blockerRows(
  db: Reader,
  blocked: TaskRef,
  names: readonly string[],
): Promise<Map<number, TaskRow>> {
  const rows = new Map<number, TaskRow>();
  for (const text of names) {
    const row = await taskRow(db, blockerRef(blocked, text));
    rows.set(row.id, row);
  }
  return rows;
}
