import type { Reader } from "../db/schema.js";
import { rowsByIds, statement } from "../db/statement.js";
import { cycleFault, findCycle } from "../topology.js";

/** A task at the end of an edge. */
export interface Node {
  id: number;
  name: string;
  workstream: string;
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
    .select(["e.blocked_id as below", "e.blocker_id as above"]),
);

/**
 * Refuses the edge that would let `blocked` wait for itself. One query that walks the graph upward; only a
 * cycle costs more, to be named. Faults `task.cycle` with the `path` from `blocked` to itself.
 */
export async function requireAcyclic(db: Reader, blocked: Node, blocker: Node): Promise<void> {
  const nextSteps = [
    { intent: "See what it waits for", command: `mu task tree ${blocked.name} -w ${blocked.workstream}` },
  ];
  if (blocked.id === blocker.id) throw cycleFault([blocked.name, blocked.name], nextSteps);
  const ends = { blocked: blocked.id, blocker: blocker.id };
  if ((await selectCycle(db, ends)).length === 0) return;
  const edges = [{ below: blocked.id, above: blocker.id }, ...(await selectEdgesUpward(db, ends))];
  const ids = [...new Set(edges.flatMap(({ below, above }) => [below, above]))];
  const node = new Map(ids.map((id, index) => [id, index]));
  const side = (end: "below" | "above") => edges.map((edge) => node.get(edge[end]) as number);
  const found = (findCycle(ids.length, side("above"), side("below")) ?? []).map((index) => ids[index] as number);
  const start = found.indexOf(blocked.id);
  const rows = await rowsByIds(found, (portion) =>
    db.selectFrom("tasks").select(["id", "name"]).where("id", "in", portion).execute(),
  );
  const names = new Map(rows.map((row) => [row.id, row.name]));
  const path = [...found.slice(start), ...found.slice(0, start + 1)].map((id) => names.get(id) ?? "?");
  throw cycleFault(path, nextSteps);
}
