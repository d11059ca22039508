import type { Claimant } from "../agents/agent.js";
import { removeRows } from "../db/destroy.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { Tx } from "../db/write.js";
import { Fault } from "../errors.js";
import { enumerate, type TaskRef } from "../names.js";
import { type Authority, ownTaskToChange, taskVerb } from "./change.js";
import { unsatisfied } from "./edge.js";
import { dependentsOfId } from "./graph.js";
import { type Task, type TaskRow, taskRow, toTask } from "./task.js";

/** What is deleted with a task. */
export interface Deletion {
  task: Task;
  edges: number;
  notes: number;
  /** Names of the tasks that no longer wait for it. */
  dependents: string[];
  /** Of those, the OPEN ones that nothing else blocks. */
  frees: string[];
}

/** What `deleteTask` would remove. Faults `task.is_root`, `task.not_found`. */
export async function previewDelete(db: Reader, ref: TaskRef): Promise<Deletion> {
  const { deletion } = await inspect(db, await taskRow(db, ref));
  return deletion;
}

/**
 * Removes the task with its edges and notes; its events stay. Faults `task.is_root` while other tasks belong to
 * it, `task.not_owner`, `task.not_found`, `agent.not_found`, `agent.replaced`.
 */
export const deleteTask = taskVerb("task.delete", deleteTaskIn);

export async function deleteTaskIn(
  tx: Tx,
  ref: TaskRef,
  claimant: Claimant,
  options: Authority = {},
): Promise<Deletion> {
  const row = await ownTaskToChange(tx.db, ref, claimant, options);
  const { deletion, edges } = await inspect(tx.db, row);
  for (const { blocked_id } of edges) {
    if (blocked_id !== row.id) await tx.patch("tasks", blocked_id, { updated_at: tx.now });
  }
  await removeRows(tx, "tasks", [row.id]);
  return deletion;
}

/** OPEN tasks that nothing blocks but the task with this row id. */
const selectFreed = statement((db, { id }: { id: number }) => {
  const blocking = db
    .selectFrom("task_edges as e")
    .innerJoin("tasks as b", "b.id", "e.blocker_id")
    .select("e.id")
    .whereRef("e.blocked_id", "=", "t.id" as "e.id")
    .where(unsatisfied);
  return db
    .selectFrom("tasks as t")
    .select("t.name")
    .where("t.status", "=", "OPEN")
    .where((has) => has.exists(blocking.where("b.id", "=", id)))
    .where((has) => has.not(has.exists(blocking.where("b.id", "<>", id))))
    .orderBy("t.name");
});

async function inspect(db: Reader, row: TaskRow) {
  await requireNoMembers(db, row);
  const edges = await db
    .selectFrom("task_edges")
    .select(["id", "blocked_id"])
    .where((e) => e.or([e("blocker_id", "=", row.id), e("blocked_id", "=", row.id)]))
    .orderBy("id")
    .execute();
  const notes = await db.selectFrom("task_notes").select("id").where("task_id", "=", row.id).orderBy("id").execute();
  const dependents = (await dependentsOfId(db, row.id)).map((dependent) => dependent.name);
  const frees = (await selectFreed(db, { id: row.id })).map((freed) => freed.name);
  return { deletion: { task: toTask(row), edges: edges.length, notes: notes.length, dependents, frees }, edges };
}

/** Refuses a task that others have as their root. Faults `task.is_root`. */
export async function requireNoMembers(db: Reader, { id, name, workstream }: TaskRow): Promise<void> {
  const members = await db.selectFrom("tasks").select("name").where("root_id", "=", id).orderBy("name").execute();
  if (members.length === 0) return;
  const names = members.map((member) => member.name);
  throw new Fault(
    "conflict",
    "task.is_root",
    `${enumerate(names)} belong to ${name}.`,
    [{ intent: "Reject it instead", command: `mu task reject ${name} -w ${workstream}` }],
    { members: names },
  );
}
