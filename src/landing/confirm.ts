import type { Context } from "../db/context.js";
import { write } from "../db/write.js";
import { qualifiedName } from "../names.js";
import { findById, type TaskRow } from "../tasks/task.js";
import { endRow } from "./rows.js";

/** A work that is on the branch now. */
export interface Arrival {
  /** Row id of its landing. */
  landing: number;
  task: Pick<TaskRow, "id" | "name" | "workstream">;
  /** The end of the work as it was when it was taken; null when there was none. */
  workTo: string | null;
  /** The branch's commit that has it. */
  commit: string;
  branch: string;
  onto: string;
  /** How many commits are new on the branch; null when nobody can tell any more. */
  commits: number | null;
  agent: string | null;
  check: { command: string; exitCode: number | null; seconds: number } | null;
}

/**
 * Writes down, once, that a task has landed; false when that had been done before. A task that was opened again in the
 * meantime stays open, and one may have been deleted: the event alone says what is on the branch.
 */
export function confirmLanded(context: Context, arrival: Arrival): Promise<boolean> {
  const { task, commit, branch, onto, commits, agent, check } = arrival;
  const spec = { op: "land", scope: task.workstream, subject: qualifiedName(task) };
  return write(context, spec, async (tx) => {
    if (!(await endRow(tx, arrival.landing, "land", { tip: commit, onto }))) return false;
    tx.tell({ commit, branch, onto, commits, agent, check });
    const row = await findById(tx.db, task.id);
    if (row === undefined || row.status !== "CLOSED" || row.work_to !== arrival.workTo) return true;
    await tx.patch("tasks", row.id, { level: "landed", landed_commit: commit, updated_at: tx.now }, row);
    return true;
  });
}
