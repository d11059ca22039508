import type { Change } from "../../db/events.js";
import type { Reader } from "../../db/schema.js";
import { Fault } from "../../errors.js";

/** Whether `changes` could have closed a cycle: only new or moved edges can. */
export function mayCloseCycle(changes: readonly Change[]): boolean {
  return changes.some(
    (change) =>
      change.table === "task_edges" &&
      ("insert" in change || ("patch" in change && ("blocker_id" in change.patch || "blocked_id" in change.patch))),
  );
}

/** Faults `task.cycle` when the edges of the whole database have one; for writes that set edges by row. O(V + E). */
export async function checkAcyclic(db: Reader): Promise<void> {
  const edges = await db.selectFrom("task_edges").select(["blocker_id", "blocked_id"]).execute();
  const stuck = onCycles(edges);
  if (stuck === undefined) return;
  const task = await db.selectFrom("tasks").select("name").where("id", "=", stuck).executeTakeFirst();
  throw new Fault("conflict", "task.cycle", `Then ${task?.name ?? "a task"} would block itself, through other tasks.`);
}

/** A task on or behind a cycle: one that is left when tasks without blockers are taken away again and again. */
function onCycles(edges: readonly { blocker_id: number; blocked_id: number }[]): number | undefined {
  const blockers = new Map<number, number>();
  const blocks = new Map<number, number[]>();
  for (const { blocker_id, blocked_id } of edges) {
    blockers.set(blocked_id, (blockers.get(blocked_id) ?? 0) + 1);
    const blocked = blocks.get(blocker_id);
    if (blocked === undefined) blocks.set(blocker_id, [blocked_id]);
    else blocked.push(blocked_id);
  }
  const free = [...blocks.keys()].filter((id) => !blockers.has(id));
  for (let id = free.pop(); id !== undefined; id = free.pop()) {
    for (const blocked of blocks.get(id) ?? []) {
      const left = (blockers.get(blocked) ?? 0) - 1;
      blockers.set(blocked, left);
      if (left === 0) free.push(blocked);
    }
  }
  for (const [id, left] of blockers) if (left > 0) return id;
  return undefined;
}
