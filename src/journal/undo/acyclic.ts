import type { Change } from "../../db/events.js";
import type { Reader } from "../../db/schema.js";
import { cycleFault, findCycle } from "../../topology.js";
import { rowsWhere } from "./net-changes.js";

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
  const ids = [...new Set(edges.flatMap(({ blocker_id, blocked_id }) => [blocker_id, blocked_id]))];
  const node = new Map(ids.map((id, index) => [id, index]));
  const side = (end: "blocker_id" | "blocked_id") => edges.map((edge) => node.get(edge[end]) as number);
  const found = findCycle(ids.length, side("blocker_id"), side("blocked_id"));
  if (found === undefined) return;
  const tasks = await rowsWhere(
    db,
    "tasks",
    "id",
    found.map((index) => ids[index] as number),
  );
  const names = new Map(tasks.map((row) => [row.id, String(row.name)]));
  const path = [...found, found[0] as number].map((index) => names.get(ids[index] as number) ?? "?");
  throw cycleFault(path, [{ intent: "See what happened", command: "mu log" }]);
}
