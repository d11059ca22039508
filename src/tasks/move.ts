import type { Context } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import { enumerate, qualifiedName, type TaskRef } from "../names.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { taskExists } from "./add.js";
import { requireNoMembers } from "./delete.js";
import { blockersOfId, dependentsOfId } from "./graph.js";
import { findTask, getTask, type Task, type TaskRow, taskRow, toTask } from "./task.js";

export interface Move {
  task: Task;
  changed: boolean;
}

/**
 * Moves the task, with its notes, to another workstream; both chains record it. Faults
 * `task.has_edges`, `task.is_root`, `task.has_root` and `task.owned` for what ties it to its workstream,
 * `task.exists` there, `task.not_found`, `workstream.not_found`.
 */
export function moveTask(context: Context, ref: TaskRef, toWorkstream: string): Promise<Move> {
  const payload = { from: ref.workstream, to: toWorkstream };
  const scope = [ref.workstream, toWorkstream];
  const spec = { op: "task.move", scope, subject: qualifiedName(ref), payload };
  return write(context, spec, (tx) => moveTaskIn(tx, ref, toWorkstream));
}

/** As `moveTask`; the write's scope must hold both workstreams. */
export async function moveTaskIn(tx: Tx, ref: TaskRef, toWorkstream: string): Promise<Move> {
  const row = await taskRow(tx.db, ref);
  const target = { workstream: toWorkstream, name: ref.name };
  const { id } = await workstreamRow(tx.db, toWorkstream);
  if (id === row.workstream_id) return { task: toTask(row), changed: false };
  await requireLoose(tx.db, row);
  if ((await findTask(tx.db, target)) !== undefined) throw taskExists(target);
  await tx.patch("tasks", row.id, { workstream_id: id, updated_at: tx.now }, row);
  return { task: await getTask(tx.db, target), changed: true };
}

/** Refuses a task that has edges, an owner, a root or members. */
async function requireLoose(db: Reader, row: TaskRow): Promise<void> {
  const { name, workstream, owner, root } = row;
  const stay = (code: string, why: string, intent: string, command: string) =>
    new Fault("conflict", code, `${name} cannot leave ${workstream}: ${why}`, [{ intent, command }]);

  const blockers = await blockersOfId(db, row.id);
  const neighbours = [...blockers, ...(await dependentsOfId(db, row.id))];
  if (neighbours.length > 0) {
    const names = enumerate(neighbours.map((neighbour) => neighbour.name));
    const [blocked, by] = blockers[0] === undefined ? [neighbours[0]?.name, name] : [name, blockers[0].name];
    const command = `mu task unblock ${blocked} --by ${by} -w ${workstream}`;
    throw stay("task.has_edges", `it has edges to ${names}.`, "Remove the edges first", command);
  }
  if (owner !== null) {
    throw stay("task.owned", `${owner} owns it.`, "Take it back first", `mu task open ${name} -w ${workstream}`);
  }
  if (root !== null) {
    const command = `mu task show ${root} -w ${workstream}`;
    throw stay("task.has_root", `it belongs to ${root}.`, "Look at what it belongs to", command);
  }
  await requireNoMembers(db, row);
}
